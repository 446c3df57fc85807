"""Closed lists that the rules lean on: what is an occupation, a relation, an illness, a language."""

from __future__ import annotations


def word_list(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


EN_OCCUPATIONS = word_list(
    """
    accountant actor actress actuary administrator advisor analyst animator architect artist astronaut
    astronomer athlete attendant attorney auditor author babysitter baker banker barber barista
    bartender biologist blogger bookkeeper botanist broker builder businessman businesswoman butcher
    buyer captain caregiver carpenter cashier chef chemist chiropractor choreographer civil cleaner
    clerk coach cobbler coder comedian composer conductor consultant contractor cook coordinator copywriter
    counselor counsellor courier curator dancer dentist designer detective dev developer dietitian director
    dj doctor driver economist editor electrician engineer entrepreneur estimator executive farmer
    fashion filmmaker firefighter fireman fisherman florist founder freelancer gardener geologist
    goldsmith groomer guard guide guitarist hairdresser hairstylist handyman historian homemaker
    housewife housekeeper illustrator inspector instructor interpreter intern investor janitor jeweler
    jeweller journalist judge laborer landscaper lawyer lecturer librarian lifeguard linguist locksmith
    logistician machinist magician makeup manager marketer marketeer mason massager mathematician
    mechanic meteorologist midwife miner model mover musician nanny neurologist neuroscientist novelist
    nurse nutritionist officer operator optician optometrist painter paralegal paramedic pastor
    pediatrician pharmacist philosopher photographer physician physicist physiotherapist pianist pilot
    planner plumber podcaster poet policeman policewoman politician postman potter presenter priest
    principal producer professor programmer psychiatrist psychologist publicist publisher radiographer
    radiologist ranger realtor receptionist recruiter reporter representative researcher roofer sailor
    salesman salesperson saleswoman scientist screenwriter sculptor seamstress secretary singer soldier
    solicitor songwriter specialist statistician stewardess streamer stylist superintendent supervisor
    surgeon surveyor tailor teacher technician therapist trader trainer translator treasurer trucker
    tutor veterinarian vet videographer violinist vlogger waiter waitress webmaster welder writer
    youtuber zoologist retiree
    anaesthetist anesthesiologist barrister beautician beekeeper bouncer bricklayer cardiologist
    caretaker carer chaplain childminder crofter decorator dermatologist dispatcher dietician fitter foreman
    forester gp glazier joiner locum masseur masseuse oncologist osteopath paediatrician picker plasterer
    podiatrist porter postie registrar assistant scaffolder shepherd sommelier stonemason sysadmin tiler
    undertaker underwriter upholsterer warden welder zookeeper headteacher radiotherapist sonographer
    """
)
EN_RELATIONS = {
    "mom": "mother", "mum": "mother", "mama": "mother", "mother": "mother", "dad": "father",
    "father": "father", "papa": "father", "wife": "wife", "husband": "husband", "hubby": "husband",
    "spouse": "spouse", "son": "son", "daughter": "daughter", "kid": "child", "child": "child",
    "brother": "brother", "sister": "sister", "twin": "twin", "grandmother": "grandmother",
    "grandma": "grandmother", "granny": "grandmother", "nana": "grandmother",
    "grandfather": "grandfather", "grandpa": "grandfather", "aunt": "aunt", "uncle": "uncle",
    "cousin": "cousin", "nephew": "nephew", "niece": "niece", "fiance": "fiancé", "fiancé": "fiancé",
    "fiancee": "fiancée", "fiancée": "fiancée", "girlfriend": "girlfriend", "boyfriend": "boyfriend",
    "partner": "partner", "grandson": "grandson", "granddaughter": "granddaughter",
    "stepson": "stepson", "stepdaughter": "stepdaughter", "stepdad": "stepfather",
    "stepfather": "stepfather", "stepmom": "stepmother", "stepmum": "stepmother",
    "stepmother": "stepmother", "stepbrother": "stepbrother", "stepsister": "stepsister",
    "mother-in-law": "mother-in-law",
    "father-in-law": "father-in-law", "sister-in-law": "sister-in-law",
    "brother-in-law": "brother-in-law",
    "gf": "girlfriend", "bf": "boyfriend", "missus": "wife", "gran": "grandmother", "nan": "grandmother",
    "grandad": "grandfather", "granddad": "grandfather", "mam": "mother", "mummy": "mother",
    "mommy": "mother",
    "daddy": "father", "auntie": "aunt", "aunty": "aunt",
}  # fmt: skip
EN_FRIENDS = {
    "best friend": "best friend", "friend": "friend", "mate": "friend", "buddy": "friend",
    "boss": "boss", "roommate": "roommate", "flatmate": "roommate",
    "colleague": "colleague", "coworker": "colleague", "co-worker": "colleague",
    "neighbor": "neighbor", "neighbour": "neighbor", "manager": "manager", "therapist": "therapist",
    "landlord": "landlord", "landlady": "landlady", "coach": "coach", "tutor": "tutor",
    "supervisor": "supervisor",
}  # fmt: skip
EN_PETS = word_list(
    """
    dog cat puppy kitten hamster rabbit bunny parrot turtle tortoise goldfish fish guinea-pig bird snake
    lizard gecko horse pony ferret cockatiel budgie parakeet chicken duck goat pup kitty gerbil iguana
    retriever labrador corgi poodle shepherd bulldog beagle husky dachshund chihuahua pug terrier collie
    greyhound whippet labradoodle cockapoo cavapoo goldendoodle spaniel rottweiler doberman schnauzer lurcher
    staffie samoyed akita malinois dalmatian axolotl chinchilla hedgehog donkey alpaca hen
    """
) | {"guinea pig"}
EN_LANGUAGES = word_list(
    """
    english mandarin chinese cantonese spanish french german italian japanese korean portuguese russian
    arabic hindi bengali urdu turkish dutch swedish norwegian danish finnish polish czech greek hebrew
    thai vietnamese indonesian malay tagalog swahili ukrainian romanian hungarian persian farsi tamil
    telugu punjabi catalan welsh irish esperanto latin
    """
)
EN_NATIONALITIES = word_list(
    """
    american british english scottish welsh irish canadian australian chinese japanese korean indian
    german french italian spanish portuguese mexican brazilian argentinian argentine colombian chilean
    peruvian russian ukrainian polish czech hungarian romanian bulgarian greek turkish israeli egyptian
    moroccan nigerian kenyan ethiopian ghanaian iranian iraqi lebanese syrian pakistani bangladeshi thai
    vietnamese indonesian malaysian singaporean filipino taiwanese dutch belgian swiss austrian swedish
    norwegian danish finnish icelandic cuban jamaican
    """
)
EN_NOT_NAMES = word_list(
    """
    christian catholic muslim buddhist jewish hindu mormon atheist protestant orthodox republican
    democrat tired sorry fine good great okay ok happy sad busy back home here there ready done sure
    sick excited glad hungry bored lost late early new old young single married divorced engaged retired
    pregnant vegan vegetarian asian african european latino latina hispanic black white gay straight
    bisexual trans transgender queer lgbtq ill alone free awake alive interested afraid scared worried
    serious kidding joking not so very just all in on off out up down from at still also too yes no leo
    virgo libra aries taurus gemini cancer scorpio sagittarius capricorn aquarius pisces
    """
) | EN_NATIONALITIES  # fmt: skip
EN_CONDITIONS = word_list(
    """
    diabetes asthma anxiety depression adhd add insomnia arthritis epilepsy hypertension anemia eczema
    psoriasis migraines migraine ibs gerd lupus fibromyalgia osteoporosis tinnitus vertigo celiac
    dyslexia ptsd ocd autism hypothyroidism hyperthyroidism endometriosis pcos scoliosis sciatica gout
    glaucoma hepatitis bronchitis cancer copd dementia alzheimer's parkinson's pneumonia sinusitis
    rosacea emphysema narcolepsy hemophilia haemophilia coeliac
    """
) | {
    "type 1 diabetes", "type 2 diabetes", "high blood pressure", "low blood pressure", "high cholesterol",
    "chronic back pain", "back problems", "a heart condition", "a bad back", "sleep apnea", "acid reflux",
    "celiac disease", "coeliac disease", "crohn's disease", "bipolar disorder", "an anxiety disorder",
    "chronic migraines",
    "hay fever", "heart disease", "kidney disease", "lactose intolerance", "gluten intolerance",
}  # fmt: skip
EN_EMPLOYERS = word_list(
    """
    siemens bosch google microsoft apple amazon meta facebook netflix tesla nvidia intel amd ibm oracle sap
    cisco samsung sony lg huawei tencent alibaba bytedance baidu xiaomi lenovo dell hp accenture deloitte kpmg
    pwc ey mckinsey bcg bain capgemini infosys wipro tcs cognizant airbus boeing bmw audi volkswagen mercedes
    porsche toyota honda hyundai ford nissan volvo philips nokia ericsson vodafone telefonica verizon at&t
    comcast disney spotify uber lyft airbnb stripe paypal shopify salesforce adobe atlassian dropbox slack
    github gitlab openai anthropic deepmind palantir databricks snowflake twitter linkedin tiktok snapchat
    pinterest reddit zalando ikea lidl aldi tesco sainsbury's asda waitrose ocado walmart target costco
    starbucks mcdonald's unilever nestle nestlé pfizer novartis roche bayer basf astrazeneca gsk moderna merck
    jpmorgan barclays hsbc santander citigroup citi ubs revolut monzo klarna n26 visa mastercard fedex ups dhl
    shell bp total exxon chevron ryanair easyjet lufthansa delta kpn bbc cnn nhs
    """
)
EN_INDUSTRIES = word_list(
    """
    finance marketing tech technology it hr sales advertising healthcare education construction
    real-estate banking insurance retail hospitality logistics manufacturing journalism publishing law
    pharma consulting biotech fintech cybersecurity accounting engineering research architecture gaming
    agriculture
    """
) | {"real estate", "human resources", "software development", "customer service", "web development",
     "data science", "public relations", "mental health", "film production"}  # fmt: skip

ZH_OCCUPATIONS = word_list(
    """
    程序员 软件工程师 工程师 老师 教师 医生 护士 律师 会计 设计师 产品经理 项目经理 经理 销售 记者 编辑
    作家 画家 厨师 司机 警察 军人 消防员 公务员 教授 讲师 研究员 科学家 翻译 导游 演员 歌手 音乐家
    摄影师 建筑师 药剂师 牙医 兽医 心理咨询师 咨询师 分析师 数据分析师 架构师 测试工程师 运维工程师
    前端工程师 后端工程师 算法工程师 运营 客服 快递员 外卖员 农民 工人 电工 木工 理发师 美容师 健身教练
    教练 瑜伽老师 运动员 飞行员 空姐 乘务员 法官 检察官 企业家 创业者 自由职业者 自由撰稿人 家庭主妇
    全职妈妈 全职爸爸 全职太太 跟单 业务员 导购 普工
    退休教师 博主 主播 插画师 化妆师 舞蹈老师 钢琴老师 音乐老师 美术老师 英语老师
    语文老师 数学老师 小学老师 中学老师 高中老师 幼师 大学老师 大学教授 银行职员 职员 文员 秘书 助理
    行政 人事 采购 审计师 投资经理 基金经理 策划 导演 编剧 制片人 作曲家 作词人 化学家 物理学家 生物学家
    研究生导师 保安 保洁 保姆 月嫂 程序猿 码农 个体户 店主 老板 董事长 总监 主管 店长 实习生 技术员 技师
    组长 主任 院长 校长 园长 部长 科长 处长 班主任 护士长 负责人 顾问 专员 经纪人
    店员 裁缝 木匠 文案 美工 社工 自由职业
    自由译者 译者 运维 出纳 财务 法务 HR 纹身师
    品控 质检 前台 网管 辅警 协警 护工 包工头 房产中介 中介 柜员 法医 村官 规培生 住院医
    博士后 助教 原画师 骑手 外卖骑手 代驾 海员 船员 水手 空乘 地勤 程序媛 炉前工 钳工 焊工 电焊工 车工
    维修工 装修工
    泥瓦工 油漆工 水电工 矿工 环卫工 清洁工 纺织工 铁路工人 网约车司机 出租车司机 公交司机 卡车司机 护理员
    科研人员 造型师 调酒师 咖啡师 面包师 服装设计师 室内设计师 平面设计师 游戏设计师 新闻记者 外科医生
    内科医生 儿科医生 全科医生 中医 公司职员 人力资源
    """
)
ZH_FIELDS = word_list(
    """
    外贸 内贸 贸易 电商 直播 开发 前端 后端 全栈 算法 测试 运维 运营 研发 设计 销售 市场 营销 广告 公关
    金融 投资 保险 银行 证券 财务 审计 人事 行政 法务 物流 采购 供应链 教育 培训 餐饮 酒店 旅游 医疗 医药
    护理 科研 建筑 装修 工程 房地产 地产 房产 中介 媒体 新媒体 自媒体 影视 剪辑 摄影 动画 游戏 出版 翻译
    咨询 公益 农业 养殖 种植 制造 机械 汽车 芯片 半导体 硬件 软件 互联网 数据分析 数据 人工智能 嵌入式
    安全 美容 美发 服装 家具 珠宝 批发 零售 快递 外卖 家政 会展 策划 编程 爬虫 大模型 IT
    """
)
ZH_RELATIONS = {
    "女儿": "女儿", "儿子": "儿子", "孩子": "孩子", "宝宝": "孩子", "闺女": "女儿", "老婆": "妻子",
    "妻子": "妻子", "太太": "妻子", "媳妇": "妻子", "爱人": "爱人", "老公": "丈夫", "丈夫": "丈夫",
    "先生": "丈夫", "妈妈": "妈妈", "母亲": "妈妈", "老妈": "妈妈", "爸爸": "爸爸", "父亲": "爸爸",
    "老爸": "爸爸", "哥哥": "哥哥", "姐姐": "姐姐", "弟弟": "弟弟", "妹妹": "妹妹", "爷爷": "爷爷",
    "奶奶": "奶奶", "外公": "外公", "外婆": "外婆", "姥姥": "外婆", "姥爷": "外公", "叔叔": "叔叔",
    "阿姨": "阿姨", "舅舅": "舅舅", "姑姑": "姑姑", "表哥": "表哥", "表姐": "表姐", "表弟": "表弟",
    "表妹": "表妹", "堂哥": "堂哥", "堂姐": "堂姐", "堂弟": "堂弟", "堂妹": "堂妹", "孙子": "孙子",
    "孙女": "孙女", "外孙": "外孙", "外孙女": "外孙女", "侄子": "侄子", "侄女": "侄女",
    "女朋友": "女朋友", "男朋友": "男朋友", "女友": "女朋友", "男友": "男朋友", "未婚妻": "未婚妻",
    "未婚夫": "未婚夫", "父母": "父母", "爸妈": "父母", "大女儿": "大女儿", "小女儿": "小女儿",
    "大儿子": "大儿子", "小儿子": "小儿子",
    "岳母": "岳母", "丈母娘": "岳母", "岳父": "岳父", "老丈人": "岳父", "婆婆": "婆婆", "公公": "公公",
    "嫂子": "嫂子", "姐夫": "姐夫", "妹夫": "妹夫", "弟媳": "弟媳", "姨妈": "姨妈", "姑妈": "姑妈",
    "舅妈": "舅妈", "伯父": "伯父", "大伯": "伯父", "外甥": "外甥", "外甥女": "外甥女", "对象": "对象",
    "娃": "孩子",
    "爸": "爸爸", "妈": "妈妈", "哥": "哥哥", "姐": "姐姐", "弟": "弟弟", "妹": "妹妹",
}  # fmt: skip
ZH_FRIENDS = word_list(
    """
    最好的朋友 好朋友 闺蜜 朋友 室友 同学 同事 老板 上司 导师 同桌 邻居 发小 兄弟
    """
)
ZH_PETS = word_list(
    """
    狗狗 猫咪 小狗 小猫 狗 猫 仓鼠 兔子 鹦鹉 乌龟 金鱼 鱼 鸟 金毛 柯基 哈士奇 泰迪 拉布拉多 边牧 柴犬
    豚鼠 荷兰猪 守宫 玉米蛇 刺猬 二哈
    巴西龟 草龟 陆龟 八哥 虎皮鹦鹉 玄凤 金丝熊 阿拉斯加 萨摩耶 萨摩 比熊 博美
    法斗
    雪纳瑞 德牧 马尔济斯 田园犬 中华田园犬 土狗 布偶 缅因 加菲 加菲猫 暹罗 暹罗猫 三花 三花猫 狸花 狸花猫
    奶牛猫 田园猫
    银渐层 金渐层 蓝猫 缅因猫 流浪猫 孔雀鱼 热带鱼
    布偶猫 橘猫 英短 美短 龙猫 蜥蜴 猫猫 宠物狗 宠物猫
    """
)
ZH_LANGUAGES = word_list(
    """
    英语 英文 日语 日文 韩语 法语 德语 西班牙语 俄语 意大利语 葡萄牙语 阿拉伯语 泰语 越南语 粤语 普通话
    中文 汉语 闽南语 客家话 上海话 四川话 广东话 拉丁语 荷兰语 印尼语 马来语 手语
    """
)
ZH_CONDITIONS = word_list(
    """
    糖尿病 高血压 低血压 高血脂 哮喘 鼻炎 过敏性鼻炎 胃病 胃炎 慢性胃炎 抑郁症 焦虑症 失眠 失眠症 偏头痛
    关节炎 心脏病 颈椎病 腰椎间盘突出 痛风 贫血 湿疹 癫痫 近视 色盲 乳糖不耐受 甲亢 甲减 脂肪肝 多动症
    自闭症 强迫症 肩周炎 癌症 慢阻肺 腰突 腰椎病 冠心病 房颤 脑梗 中风 帕金森 阿尔茨海默症 老年痴呆 白血病
    红斑狼疮 荨麻疹 乙肝
    大三阳 小三阳 胃食管反流 反流性食管炎 幽门螺杆菌 骨质疏松 静脉曲张 带状疱疹 双相 双相情感障碍 躁郁症
    惊恐障碍 青光眼
    白内障 飞蚊症 干眼症 散光 耳鸣 痔疮 多囊 多囊卵巢 银屑病 牛皮癣 白癜风 玫瑰痤疮 慢性荨麻疹 蚕豆病
    地中海贫血 地贫
    高尿酸 高血糖 抑郁 焦虑 睡眠障碍 睡眠呼吸暂停 阅读障碍 夜盲症 强直 强直性脊柱炎 肾结石 胆结石 胃溃疡
    """
)
ZH_COUNTRIES = word_list(
    """
    中国 美国 英国 法国 德国 日本 韩国 意大利 西班牙 葡萄牙 加拿大 澳大利亚 新西兰 俄罗斯 印度 巴西
    墨西哥 泰国 越南 新加坡 马来西亚 印尼 印度尼西亚 菲律宾 荷兰 比利时 瑞士 瑞典 挪威 芬兰 丹麦 奥地利
    波兰 希腊 土耳其 埃及 南非 阿根廷 智利 爱尔兰 乌克兰 以色列 巴基斯坦 缅甸 柬埔寨 老挝 蒙古 伊朗 沙特
    尼日利亚 肯尼亚
    """
)
ZH_PLACES = word_list(
    """
    北京 上海 天津 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东
    海南 四川 贵州 云南 陕西 甘肃 青海 台湾 内蒙古 内蒙 广西 西藏 宁夏 新疆 香港 澳门 杭州 南京 苏州
    无锡 常州 南通 扬州 徐州 镇江 泰州 盐城 宁波 温州 嘉兴 湖州 绍兴 金华 台州 广州 深圳 珠海 佛山 东莞
    中山 惠州 汕头 湛江 江门 成都 绵阳 乐山 宜宾 南充 武汉 宜昌 襄阳 荆州 长沙 株洲 湘潭 岳阳 衡阳 常德
    西安 咸阳 宝鸡 郑州 洛阳 开封 新乡 南阳 济南 青岛 烟台 潍坊 威海 淄博 临沂 福州 厦门 泉州 漳州 合肥
    芜湖 蚌埠 黄山 南昌 九江 赣州 景德镇 昆明 大理 丽江 贵阳 遵义 南宁 桂林 柳州 北海 海口 三亚 石家庄
    保定 唐山 邯郸 秦皇岛 廊坊 太原 大同 沈阳 大连 鞍山 长春 哈尔滨 大庆 齐齐哈尔 呼和浩特 包头 兰州
    西宁 银川 乌鲁木齐 拉萨 台北 高雄 台中 台南 新北 东北 西北 四川成都 纽约 洛杉矶 旧金山 伦敦 巴黎
    东京 大阪 首尔 柏林 悉尼 墨尔本 多伦多 温哥华 波士顿 西雅图 芝加哥 义乌 昆山 江阴 张家口 连云港 淮安
    宿迁 舟山 衢州 丽水 莆田 三明 龙岩 宁德
    安庆 阜阳 宿州 滁州 六安 宣城 亳州 淮南 淮北 铜陵 池州 马鞍山 荆门 黄冈 孝感 咸宁 恩施 十堰 随州 黄石
    鄂州 潜江 仙桃 邵阳 郴州 永州 怀化 娄底 益阳 张家界 湘西 驻马店 信阳 商丘 周口 安阳 焦作 平顶山 许昌
    漯河 三门峡 鹤壁 濮阳 菏泽 济宁 泰安 德州 聊城 滨州 东营 枣庄 日照 沧州 衡水 邢台 承德 长治 运城 临汾
    晋城 晋中 吕梁 忻州 朔州 阳泉 赤峰 通辽 鄂尔多斯 呼伦贝尔 锦州 抚顺 本溪 丹东 营口 盘锦 铁岭 葫芦岛 阜新
    辽阳 四平 延边 延吉 通化 松原 佳木斯 牡丹江 绥化 鸡西 鹤岗 伊春 黑河 上饶 宜春 吉安 抚州 萍乡 新余 鹰潭
    南平 梅州 潮州 揭阳 清远 韶关 茂名 肇庆 河源 汕尾 阳江 云浮 顺德 玉林 百色 梧州 钦州 防城港 贵港 河池
    贺州 儋州 泸州 自贡 攀枝花 德阳 广元 遂宁 内江 眉山 达州 雅安 巴中 资阳 广安 凉山 毕节 安顺 六盘水 铜仁
    凯里 黔东南 曲靖 玉溪 保山 昭通 临沧 西双版纳 楚雄 渭南 延安 汉中 榆林 商洛 天水 酒泉 张掖 武威 庆阳
    浦东 徐汇 静安 长宁 闵行 杨浦 虹口 普陀 宝山 嘉定 松江 青浦 奉贤 崇明 陆家嘴 张江
    漕河泾 五角场 海淀 丰台 石景山 通州 昌平 顺义 房山 中关村 望京 国贸 西二旗 亦庄 回龙观 天通苑
    五道口 三里屯 天河 越秀 海珠 番禺 黄埔 增城 花都 南山 福田 罗湖 宝安 龙岗 龙华 前海
    余杭 滨江 萧山 拱墅 江宁 鼓楼 建邺 河西 武侯 锦江 渝北 雁塔 光谷 武昌 汉口 汉阳
    洪山 岳麓
    平凉 嘉峪关 固原 喀什 伊犁 阿克苏 克拉玛依 石河子 库尔勒 日喀则 林芝 嘉义 花莲 基隆
    """
)
