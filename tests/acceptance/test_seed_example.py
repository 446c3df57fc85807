"""The seed example as a user meets it: over HTTP, through the SDK, on the command line. No LLM."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memgrid import AsyncMemgrid, Memgrid
from tests.acceptance.conftest import Api, Cli

pytestmark = pytest.mark.ray

SEED_ZH = "我叫张三，我喜欢打羽毛球"
SEED_EN = "My name is Li Lei, I live in Hangzhou and I'm allergic to peanuts"


def typed(memories: list[dict[str, Any]]) -> dict[str, str]:
    """Each memory's text by its type."""
    return {memory["profile_type"]: memory["memory"] for memory in memories}


# --- the example itself -----------------------------------------------------------------------


def test_chinese_over_http(api: Api, user: str) -> None:
    added = api.add(user, SEED_ZH)
    assert added["success"] is True
    assert added["message"] == "记忆添加成功"
    assert added["status"] == "done"
    assert added["memory_id"] == added["results"][0]["id"]
    memories = api.memories(user)
    assert {memory["id"] for memory in memories} == {change["id"] for change in added["results"]}
    by_type = typed(memories)
    assert by_type.keys() == {"personal_information", "interest_hobbies"}
    assert len(memories) == 2
    assert "张三" in by_type["personal_information"]
    assert "羽毛球" in by_type["interest_hobbies"]


def test_english_over_http(api: Api, user: str) -> None:
    api.add(user, SEED_EN)
    texts = [memory["memory"] for memory in api.memories(user)]
    assert len(texts) == 3
    for fact in ("Li Lei", "Hangzhou", "peanuts"):
        assert sum(fact in text for text in texts) == 1


async def test_async_sdk(api: Api, client: AsyncMemgrid, user: str) -> None:
    added = await client.add(SEED_ZH, user_id=user)
    job = await client.wait_for_job(added.job_id, timeout=60)
    assert job.status == "done"
    api.embedded(user)
    memories = {memory.profile_type: memory.memory async for memory in client.list(user_id=user)}
    assert "张三" in memories["personal_information"]
    assert "羽毛球" in memories["interest_hobbies"]
    found = await client.search("他喜欢什么运动？", user_id=user, top_k=1, types=["memory"])
    assert "羽毛球" in found.results[0].content
    assert (await client.profile(user)).key_interests == ["打羽毛球"]
    assert "羽毛球" in (await client.context(user, "周末有什么活动推荐？")).context


def test_sync_sdk(sync_client: Memgrid, user: str) -> None:
    added = sync_client.add(SEED_EN, user_id=user, wait=True)
    assert added.status == "done"
    assert len(added.results) == 3
    assert len(list(sync_client.list(user_id=user))) == 3
    found = sync_client.search("is there food she must avoid?", user_id=user, types=["memory"])
    assert any("peanuts" in hit.content for hit in found.results)


def test_command_line(cli: Cli, user: str) -> None:
    added = json.loads(cli("add", SEED_ZH, "--user", user, "--wait", "--json").stdout)
    assert [change["event"] for change in added["results"]] == ["ADD", "ADD"]
    listed = json.loads(cli("list", "--user", user, "--json").stdout)
    assert {memory["profile_type"] for memory in listed} == {"personal_information", "interest_hobbies"}
    assert "羽毛球" in cli("search", "他喜欢什么运动？", "--user", user).stdout
    assert "张三" in cli("profile", "--user", user).stdout
    assert "羽毛球" in cli("context", "周末有什么活动推荐？", "--user", user).stdout
    assert cli("health").stdout.startswith("http://127.0.0.1:")


# --- what is not a memory ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "你好", "您好呀！", "哈哈哈", "谢谢，再见", "嗯嗯", "早上好！", "hi there!", "Hello",
     "ok, thanks a lot", "lol", "👍", "Good morning! How are you?", "...", "bye"],
)  # fmt: skip
def test_small_talk_gives_no_memory(api: Api, user: str, text: str) -> None:
    added = api.add(user, text)
    assert (added["status"], added["memory_id"], added["results"]) == ("done", None, [])
    assert api.memories(user) == []
    assert [message["content"] for message in api.messages(user)] == [text]


def test_no_messages_at_all(api: Api, user: str) -> None:
    added = api.add(user)
    assert (added["success"], added["status"], added["message_ids"]) == (True, "done", [])
    assert api.memories(user) == []
    assert api.messages(user) == []
    assert api.ok("GET", f"/jobs/{added['job_id']}")["status"] == "done"


@pytest.mark.parametrize(
    "text",
    ["我叫什么名字？", "你喜欢打羽毛球吗？", "我喜欢什么运动？", "我住在杭州吗", "What is my name?",
     "Do I live in Hangzhou?", "Am I allergic to peanuts?", "Do you like badminton?"],
)  # fmt: skip
def test_a_question_is_not_a_fact(api: Api, user: str, text: str) -> None:
    assert api.add(user, text)["results"] == []
    assert api.memories(user) == []


def test_the_assistant_does_not_speak_for_the_user(api: Api, user: str) -> None:
    said = [{"role": "assistant", "content": "我叫小助手，我喜欢帮助别人"}]
    api.ok("POST", "/memories", json={"user_id": user, "messages": said, "wait": True})
    assert api.memories(user) == []


def test_said_twice_is_known_once(api: Api, user: str) -> None:
    api.add(user, SEED_ZH)
    again = api.add(user, SEED_ZH)
    assert [change for change in again["results"] if change["event"] == "ADD"] == []
    assert len(api.memories(user)) == 2
    assert len(api.messages(user)) == 2


def test_what_changes_is_superseded(api: Api, user: str) -> None:
    api.add(user, "I live in Hangzhou.")
    api.add(user, "I moved to Chengdu, I live in Chengdu now.")
    current = " ".join(memory["memory"] for memory in api.memories(user))
    assert "Chengdu" in current
    assert "Hangzhou" not in current
    every = api.ok("GET", "/memories", params={"user_id": user, "latest_only": "false"})["memories"]
    old = next(memory for memory in every if "Hangzhou" in memory["memory"])
    assert old["superseded_by"] in {memory["id"] for memory in every if "Chengdu" in memory["memory"]}
    assert old["valid_to"] is not None


# --- the native shapes ------------------------------------------------------------------------


def test_add_answers_before_extraction(api: Api, user: str) -> None:
    added = api.add(user, SEED_ZH, wait=False)
    assert (added["success"], added["memory_id"], added["message"]) == (True, None, "记忆添加成功")
    assert added["job_id"]


def test_metadata_of_an_add(api: Api, user: str) -> None:
    given = {
        "channel": "web",
        "conversation_id": "c-9",
        "source_type": "document",
        "category": "运动",
        "tags": ["a", "b"],
    }
    api.add(user, SEED_ZH, metadata=given)
    for memory in api.memories(user):
        assert given.items() <= memory["metadata"].items()
        assert memory["metadata"]["source"] == "conversation"
        assert datetime.fromisoformat(memory["metadata"]["timestamp"]).tzinfo is not None
        assert (memory["category"], memory["tags"]) == ("运动", ["a", "b"])
    mine = api.ok("GET", "/memories", params={"user_id": user, "filters": '{"category": "运动"}'})
    assert mine["total"] == 2
    other = api.ok(
        "GET", "/memories", params={"user_id": user, "filters": '{"metadata.channel": {"ne": "web"}}'}
    )
    assert other["total"] == 0
    own = api.add(f"{user}-2", SEED_ZH, metadata={"source": "wechat", "timestamp": "noon"})
    kept = api.ok("GET", f"/memories/{own['memory_id']}")["metadata"]
    assert (kept["source"], kept["timestamp"]) == ("wechat", "noon")


def test_get_search_is_a_bare_list(api: Api, user: str) -> None:
    search = "/memories/search"
    assert api.ok("GET", search, params={"query": "运动", "user_id": user}) == []
    facts = "我叫张三。我喜欢打羽毛球。我住在杭州。我是一名医生。我对花生过敏。我有一只猫。我喜欢喝茶。"
    api.add(user, facts)
    assert len(api.memories(user)) > 5
    api.embedded(user)
    found = api.ok("GET", search, params={"query": "他喜欢什么运动？", "user_id": user})
    assert isinstance(found, list)
    assert len(found) == 5
    for hit in found:
        assert hit.keys() == {"memory_id", "content", "relevance_score", "created_at", "metadata"}
    assert found[0]["content"] == "用户喜欢打羽毛球"
    assert 0 < found[0]["relevance_score"] <= 1
    scores = [hit["relevance_score"] for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert datetime.fromisoformat(found[0]["created_at"]).tzinfo is not None
    assert found[0]["memory_id"] in {memory["id"] for memory in api.memories(user)}
    for name in ("limit", "top_k"):
        two = api.ok("GET", search, params={"query": "他喜欢什么运动？", "user_id": user, name: 2})
        assert two == found[:2]


def test_post_search_has_the_envelope(api: Api, user: str) -> None:
    api.add(user, SEED_ZH)
    api.embedded(user)
    found = api.ok("POST", "/memories/search", json={"query": "运动", "user_id": user, "explain": True})
    assert found.keys() == {"results", "total", "cursor", "degraded"}
    assert (found["total"], found["cursor"], found["degraded"]) == (len(found["results"]), None, [])
    assert found["results"][0]["memory"]["profile_type"] == "interest_hobbies"
    assert found["results"][0]["explain"]
    first = {"query": "运动", "user_id": user, "top_k": 1}
    page = api.ok("POST", "/memories/search", json=first)
    rest = api.ok("POST", "/memories/search", json={**first, "cursor": page["cursor"]})
    assert [page["results"][0]["id"], rest["results"][0]["id"]] == [r["id"] for r in found["results"][:2]]
    for strategy in ("full_text", "vector", "hybrid"):
        some = {"query": "打羽毛球", "user_id": user, "strategy": strategy, "top_k": 1}
        assert "羽毛球" in api.ok("POST", "/memories/search", json=some)["results"][0]["content"]


def test_context(api: Api, user: str) -> None:
    path = f"/memories/context/{user}"
    english = {"Accept-Language": "en-US,en;q=0.9"}
    question = {"message": "周末有什么活动推荐？"}
    assert api.ok("GET", path, params=question)["context"] == "暂无相关历史记忆"
    assert api.ok("GET", path, params=question, headers=english)["context"] == "No relevant memories yet"
    api.add(user, "我叫张三。我喜欢打羽毛球。我住在杭州。我是一名医生。我对花生过敏。")
    api.embedded(user)
    block = api.ok("GET", path, params=question)
    header, *lines = block["context"].split("\n")
    assert header == "用户相关记忆:"
    assert len(lines) == 3
    assert all(line.startswith("- ") for line in lines)
    assert "- 用户喜欢打羽毛球" in lines
    assert block["degraded"] is False
    more = api.ok("GET", path, params={**question, "limit": 5})["context"]
    assert more.count("\n- ") == 5
    tight = api.ok("GET", path, params={**question, "limit": 5, "max_tokens": 20})
    assert 0 < tight["tokens"] <= 20
    assert 0 < tight["context"].count("\n- ") < 5
    sections = api.ok("GET", path, params={**question, "plain": "false"})["context"]
    assert "用户画像:" in sections
    translated = api.ok("GET", path, params=question, headers=english)["context"]
    assert translated.startswith("Relevant memories of the user:\n- ")
    assert api.ok("GET", f"/users/{user}/context", params=question) == block


def test_profile(api: Api, user: str) -> None:
    path = f"/users/{user}/profile"
    fields = {
        "user_id",
        "total_memories",
        "profile_summary",
        "generated_at",
        "key_interests",
        "interaction_patterns",
    }
    new = api.ok("GET", path)
    assert fields <= new.keys()
    assert (new["user_id"], new["total_memories"]) == (user, 0)
    assert new["profile_summary"] == "新用户，暂无足够数据生成画像"
    assert (new["key_interests"], new["interaction_patterns"]) == ([], {})
    english = api.ok("GET", path, headers={"Accept-Language": "en"})
    assert english["profile_summary"] == "New user: not enough data for a profile yet"
    api.add(user, SEED_ZH)
    hobbies = ("游泳", "爬山", "下棋", "摄影", "画画", "钓鱼")
    for hobby in hobbies:
        api.add(user, f"我喜欢{hobby}", session_id=f"about {hobby}")
    known = api.ok("GET", path)
    assert known["total_memories"] == len(api.memories(user)) == 8
    assert "张三" in known["profile_summary"]
    assert len(known["key_interests"]) == 5
    assert set(known["key_interests"]) <= {"打羽毛球", *hobbies}
    patterns = known["interaction_patterns"]
    assert patterns.keys() == {
        "total_conversations",
        "average_length",
        "most_active_hours",
        "conversation_topics",
    }
    assert patterns["total_conversations"] == 7
    lengths = [len(message["content"]) for message in api.messages(user)]
    assert patterns["average_length"] == pytest.approx(sum(lengths) / len(lengths), abs=0.1)
    assert all(0 <= hour < 24 for hour in patterns["most_active_hours"])


def test_cleanup(api: Api, user: str) -> None:
    api.add(user, SEED_ZH)
    path = f"/users/{user}/memories/cleanup"
    cleaned = api.ok("DELETE", path)
    assert cleaned.keys() == {"deleted_count", "total_old_memories", "cleanup_date"}
    assert (cleaned["deleted_count"], cleaned["total_old_memories"]) == (0, 0)
    cutoff = datetime.now(UTC) - timedelta(days=90)
    assert abs(datetime.fromisoformat(cleaned["cleanup_date"]) - cutoff) < timedelta(minutes=5)
    week = datetime.fromisoformat(api.ok("DELETE", path, params={"days_old": 7})["cleanup_date"])
    assert abs(week - (datetime.now(UTC) - timedelta(days=7))) < timedelta(minutes=5)
    assert len(api.memories(user)) == 2


def test_health(api: Api) -> None:
    root = str(api.base_url).removesuffix("/api/v1/")
    assert api.get(f"{root}/health").json() == {"status": "healthy", "service": "memory"}
    detail = api.get(f"{root}/health/detailed").json()
    assert detail.keys() == {"service", "timestamp", "components", "overall"}
    assert (detail["service"], detail["overall"]) == ("memory", "healthy")
    assert {"wide_store", "search_index"} < detail["components"].keys()
    for component in detail["components"].values():
        assert component["status"] == "healthy"
        assert component["latency"] >= 0
    assert api.get(f"{root}/health/ready").status_code == 200
    metrics = api.get(f"{root}/metrics").text
    assert "memgrid_owner_operations_total" in metrics


def test_texts_follow_the_reader(api: Api, user: str) -> None:
    message = {"role": "user", "content": "hello"}
    body = {"user_id": user, "messages": [message]}
    answers = {
        language: api.ok("POST", "/memories", json=body, headers={"Accept-Language": language})["message"]
        for language in ("zh-CN", "en-GB", "fr", "en;q=0.4, zh;q=0.8")
    }
    assert answers == {
        "zh-CN": "记忆添加成功",
        "en-GB": "Memory added",
        "fr": "记忆添加成功",
        "en;q=0.4, zh;q=0.8": "记忆添加成功",
    }
    for language, prefix in (("zh", "记忆添加失败: "), ("en", "Adding the memory failed: ")):
        refused = api.post(
            "/memories", json={"messages": [message]}, headers={"Accept-Language": language}
        ).json()
        assert refused["detail"].startswith(prefix)
    assert api.get("/memories/search", params={"user_id": user}).json()["detail"].startswith("记忆检索失败: ")
    unclean = api.request("DELETE", f"/users/{user}/memories/cleanup", params={"days_old": 0}).json()
    assert unclean["detail"].startswith("记忆清理失败: ")


# --- beside the native routes -----------------------------------------------------------------


def test_an_add_is_found_at_once(api: Api, user: str) -> None:
    for number in range(5):
        text = f"接头暗号第{number}句是天王盖地虎 {number * 7919}"
        added = api.add(user, text, wait=False)
        query = {"query": f"暗号 {number * 7919}", "user_id": user, "top_k": 3}
        found = api.ok("POST", "/memories/search", json=query)["results"]
        assert added["message_ids"][0] in found[0]["message_ids"]
        assert api.messages(user)[-1]["content"] == text
        context = api.ok("GET", f"/memories/context/{user}", params={"message": query["query"]})
        assert text in context["context"]


def test_without_inference(api: Api, user: str) -> None:
    api.add(user, SEED_ZH, "你好", infer=False)
    kept = api.memories(user)
    assert [memory["kind"] for memory in kept] == ["note", "note"]
    assert {memory["memory"] for memory in kept} == {SEED_ZH, "你好"}


def test_a_retry_changes_nothing(api: Api, user: str) -> None:
    first = api.add(user, SEED_ZH, idempotency_key="k1")
    again = api.add(user, SEED_ZH, idempotency_key="k1")
    assert again["message_ids"] == first["message_ids"]
    assert again["duplicates"] == 1
    message = {"id": "m1", "content": "我住在杭州"}
    for _ in range(2):
        api.ok("POST", "/memories", json={"user_id": user, "messages": [message]})
    assert [m["content"] for m in api.messages(user)] == [SEED_ZH, "我住在杭州"]
    other = {"user_id": user, "messages": [{"content": "another"}], "idempotency_key": "k1"}
    error = api.refused(409, "conflict", "POST", "/memories", json=other)
    assert error["field"] == "idempotency_key"


def test_update_history_delete(api: Api, user: str) -> None:
    name = next(c for c in api.add(user, SEED_ZH)["results"] if "张三" in c["memory"])["id"]
    path = f"/memories/{name}"
    changed = api.ok("PATCH", path, json={"text": "用户的名字是李四", "tags": ["named"], "category": "who"})
    assert (changed["memory"], changed["tags"], changed["category"]) == ("用户的名字是李四", ["named"], "who")
    assert api.ok("GET", path) == changed
    assert "李四" in api.ok("GET", f"/users/{user}/profile")["profile_summary"]
    history = api.ok("GET", f"{path}/history")["history"]
    assert [entry["event"] for entry in history] == ["ADD", "UPDATE"]
    assert (history[1]["old_memory"], history[1]["new_memory"]) == ("用户的名字是张三", "用户的名字是李四")
    assert [entry["actor"] for entry in history] == ["extraction", "api"]
    assert api.ok("PATCH", path, json={"category": None})["category"] is None
    api.ok("PATCH", path, json={"immutable": True})
    api.refused(409, "conflict", "PATCH", path, json={"text": "用户的名字是王五"})
    api.ok("PATCH", path, json={"immutable": False})
    assert api.ok("DELETE", path) == {"count": 1}
    api.refused(404, "not_found", "GET", path)
    api.refused(404, "not_found", "DELETE", path)
    assert ["张三" in m["memory"] or "李四" in m["memory"] for m in api.memories(user)] == [False]
    forgotten = json.dumps(api.get(f"{path}/history").json(), ensure_ascii=False)
    assert "张三" not in forgotten
    assert "李四" not in forgotten


def test_an_expired_memory_is_gone(api: Api, user: str) -> None:
    first = api.add(user, SEED_ZH)["memory_id"]
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    api.ok("PATCH", f"/memories/{first}", json={"expires_at": past})
    assert first not in {memory["id"] for memory in api.memories(user)}
    found = api.ok("POST", "/memories/search", json={"query": "张三", "user_id": user})["results"]
    assert first not in {hit["id"] for hit in found}


def test_delete_many(api: Api, user: str) -> None:
    api.add(user, SEED_ZH)
    api.add(user, "note this", infer=False)
    assert api.ok("DELETE", "/memories", params={"user_id": user, "kinds": "note"}) == {"count": 1}
    assert api.ok("DELETE", "/memories", params={"user_id": user}) == {"count": 2}
    assert api.memories(user) == []
    assert len(api.messages(user)) == 2


def test_erase(api: Api, user: str) -> None:
    added = api.add(user, SEED_ZH)
    api.ok("PUT", f"/users/{user}/variables", json={"variables": {"城市": "杭州"}})
    erased = api.ok("DELETE", f"/users/{user}")
    assert erased == {"subject_kind": "user", "subject_id": user, "memories": 3, "messages": 1}
    assert api.memories(user) == []
    assert api.messages(user) == []
    assert api.ok("GET", f"/users/{user}/variables")["variables"] == {}
    assert api.ok("GET", "/sessions", params={"user_id": user})["sessions"] == []
    assert api.ok("GET", "/runs", params={"user_id": user})["runs"] == []
    assert api.ok("GET", "/memories/search", params={"user_id": user, "query": "羽毛球"}) == []
    assert api.ok("GET", f"/users/{user}/profile")["total_memories"] == 0
    api.refused(404, "not_found", "GET", f"/memories/{added['memory_id']}")
    api.refused(404, "not_found", "GET", f"/memories/{added['memory_id']}/history")
    api.add(user, SEED_ZH)
    assert len(api.memories(user)) == 2


def test_variables(api: Api, user: str) -> None:
    path = f"/users/{user}/variables"
    assert api.ok("GET", path) == {"variables": {}}
    assert api.ok("PUT", path, json={"variables": {"姓名": "张三", "爱好": "打羽毛球"}}) == {
        "variables": {"姓名": "张三", "爱好": "打羽毛球"}
    }
    api.ok("PUT", path, json={"variables": {"爱好": "下棋"}})
    assert api.ok("GET", path) == {"variables": {"姓名": "张三", "爱好": "下棋"}}
    assert api.ok("DELETE", path, params={"names": ["爱好", "never set"]}) == {"count": 1}
    assert api.ok("GET", path) == {"variables": {"姓名": "张三"}}


def test_sessions_and_messages(api: Api, user: str) -> None:
    for session in ("b", "a"):
        messages = [{"role": "user", "content": f"{session}{n}", "name": "张三", "mood": n} for n in range(3)]
        api.ok("POST", "/memories", json={"user_id": user, "session_id": session, "messages": messages})
    sessions = api.ok("GET", "/sessions", params={"user_id": user})["sessions"]
    assert [(s["session_id"], s["messages"]) for s in sessions] == [("a", 3), ("b", 3)]
    first = api.ok("GET", "/sessions", params={"user_id": user, "limit": 1})
    second = api.ok("GET", "/sessions", params={"user_id": user, "limit": 1, "cursor": first["cursor"]})
    assert [first["sessions"][0]["session_id"], second["sessions"][0]["session_id"]] == ["a", "b"]
    assert [m["content"] for m in api.messages(user)] == ["b0", "b1", "b2", "a0", "a1", "a2"]
    in_a = api.messages(user, session_id="a", newest_first="true")
    assert [(m["content"], m["name"], m["extra"]) for m in in_a] == [
        ("a2", "张三", {"mood": 2}),
        ("a1", "张三", {"mood": 1}),
        ("a0", "张三", {"mood": 0}),
    ]
    page = api.ok("GET", "/messages", params={"user_id": user, "limit": 4})
    assert len(page["messages"]) == 4
    rest = api.ok("GET", "/messages", params={"user_id": user, "limit": 4, "cursor": page["cursor"]})
    assert ([m["content"] for m in rest["messages"]], rest["cursor"]) == (["a1", "a2"], None)


def test_marks(api: Api, user: str) -> None:
    messages = [{"content": f"n{n}", "id": f"id-{n}", "marks": ["seen"] if n == 0 else []} for n in range(4)]
    ids = api.ok("POST", "/memories", json={"user_id": user, "messages": messages})["message_ids"]

    def mark(**body: Any) -> int:
        return api.ok("POST", "/messages/marks", params={"user_id": user}, json=body)["count"]

    def marked(name: str) -> list[str]:
        return [message["content"] for message in api.messages(user, mark=name)]

    assert mark(new="hint", ids=ids[1:3]) == 2
    assert marked("hint") == ["n1", "n2"]
    assert mark(new="done", old="hint") == 2
    assert (marked("hint"), marked("done")) == ([], ["n1", "n2"])
    assert mark(old="done", ids=[ids[1]]) == 1
    assert marked("done") == ["n2"]
    assert [m["content"] for m in api.messages(user, exclude_mark="seen")] == ["n1", "n2", "n3"]
    gone = api.ok("DELETE", "/messages", params={"user_id": user}, json={"marks": ["seen", "done"]})
    assert gone == {"count": 2}
    assert [message["content"] for message in api.messages(user)] == ["n1", "n3"]
    assert api.ok("DELETE", "/messages", params={"user_id": user}, json={"ids": [ids[3]]}) == {"count": 1}
    assert [message["content"] for message in api.messages(user)] == ["n1"]


def test_deleting_messages_with_what_rests_on_them(api: Api, user: str) -> None:
    api.add(user, SEED_ZH, session_id="s1")
    api.add(user, "我住在杭州", session_id="s2")
    body = {"session_id": "s1", "memories": True}
    assert api.ok("DELETE", "/messages", params={"user_id": user}, json=body) == {"count": 1}
    assert ["杭州" in memory["memory"] for memory in api.memories(user)] == [True]


def test_buffer_in_the_callers_hands(api: Api, user: str) -> None:
    who = {"user_id": user}
    api.ok("PUT", "/buffers/policy", params=who, json={"on_full": False, "on_idle": False})
    first = api.add(user, SEED_ZH, wait=False)
    second = api.add(user, "我住在杭州", wait=False)
    buffer = api.ok("GET", "/buffers", params=who)
    assert buffer["message_ids"] == first["message_ids"] + second["message_ids"]
    assert buffer["tokens"] > 0
    assert (buffer["full_at"], buffer["is_full"]) == (8192, False)
    assert buffer["policy"] == {"on_full": False, "on_idle": False}
    assert [message["status"] for message in api.messages(user)] == ["buffered", "buffered"]
    assert api.ok("GET", f"/jobs/{first['job_id']}")["status"] == "pending"
    done = api.ok("POST", "/buffers/process", params=who, json={"ids": second["message_ids"]})
    assert done["status"] == "done"
    assert ["杭州" in change["memory"] for change in done["results"]] == [True]
    assert api.ok("GET", "/buffers", params=who)["message_ids"] == first["message_ids"]
    again = api.ok("POST", "/buffers/process", params=who, json={"ids": second["message_ids"]})
    assert again["results"] == done["results"]
    flushed = api.ok("POST", "/buffers/flush", params=who)
    assert (flushed["status"], len(flushed["results"])) == ("done", 2)
    assert api.ok("GET", "/buffers", params=who)["message_ids"] == []
    job = api.ok("GET", f"/jobs/{first['job_id']}")
    assert (job["status"], job["messages"], job["done"], len(job["results"])) == ("done", 1, 1, 2)
    runs = api.ok("GET", "/runs", params=who)["runs"]
    assert [run["message_ids"] for run in runs] == [first["message_ids"], second["message_ids"]]
    assert all(run["status"] == "done" and run["extractor"] == "rules" for run in runs)
    detail = api.ok("GET", f"/runs/{runs[0]['id']}")
    assert {name: detail[name] for name in runs[0]} == runs[0]
    assert [decision["action"] for decision in detail["decisions"]] == ["ADD", "ADD"]
    assert api.ok("GET", "/runs", params={**who, "status": "parked"})["runs"] == []


def test_batch(api: Api) -> None:
    users = [f"batch-{n}" for n in range(3)]
    same = {"user_id": users[1], "session_id": "s"}
    items = [
        {"user_id": users[0], "messages": [{"content": SEED_ZH}], "wait": True},
        {**same, "messages": [{"id": "1", "content": "I play the cello"}]},
        {**same, "messages": [{"id": "1", "content": "I play the violin"}]},
        {**same, "messages": [{"id": "2", "content": "I live in Hangzhou"}]},
        {"user_id": users[2], "messages": [{"content": SEED_EN}], "wait": True},
    ]
    batch = api.ok("POST", "/memories/batch", json={"items": items})
    assert (batch["succeeded"], batch["failed"]) == (4, 1)
    refused = batch["results"][2]
    assert refused.keys() == {"error"}
    assert (refused["error"]["code"], refused["error"]["field"]) == ("conflict", "messages.0.id")
    worked = [one["result"] for place, one in enumerate(batch["results"]) if place != 2]
    assert all(result["success"] and result["message"] == "记忆添加成功" for result in worked)
    assert (len(worked[0]["results"]), len(worked[3]["results"])) == (2, 3)
    assert [m["content"] for m in api.messages(users[1])] == ["I play the cello", "I live in Hangzhou"]


def test_stats(api: Api, user: str) -> None:
    api.add(user, SEED_ZH)
    for _ in range(3):
        api.ok("GET", "/memories/search", params={"query": "羽毛球", "user_id": user})
    today = api.ok("GET", "/stats", params={"user_id": user})["days"][0]
    assert today.keys() == {"date", "memories_added", "searches_performed", "avg_relevance_score"}
    assert (today["memories_added"], today["searches_performed"]) == (2, 3)
    assert 0 < today["avg_relevance_score"] <= 1


def test_agents_apps_and_runs_have_memories_too(api: Api, user: str) -> None:
    body = {"messages": [{"content": SEED_ZH}], "wait": True}
    api.ok("POST", "/memories", json={**body, "user_id": user, "agent_id": f"{user}-agent"})
    api.ok("POST", "/memories", json={**body, "agent_id": f"{user}-agent"})
    everyone = api.ok("GET", "/memories", params={"agent_id": f"{user}-agent"})["memories"]
    assert sorted((m["user_id"] or "", m["profile_type"]) for m in everyone) == [
        ("", "interest_hobbies"),
        ("", "personal_information"),
        (user, "interest_hobbies"),
        (user, "personal_information"),
    ]
    assert api.ok("GET", f"/agents/{user}-agent/profile")["total_memories"] == 2


def test_ids_of_any_script(api: Api) -> None:
    for name in ("用户/一 号?", "a%2Fb", "..", "ﬀ👩‍👩‍👧", "x" * 256):
        api.add(name, SEED_ZH)
        profile = api.ok("GET", f"/users/{_segment(name)}/profile")
        assert (profile["user_id"], profile["total_memories"]) == (name, 2)


def _segment(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
