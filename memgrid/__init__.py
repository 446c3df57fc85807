"""memgrid: a memory service for LLM agents.

>>> from memgrid import Memgrid
>>> with Memgrid() as client:  # doctest: +SKIP
...     client.add("我叫张三，我喜欢打羽毛球", user_id="zhangsan")
...     client.search("他喜欢什么运动？", user_id="zhangsan").results
"""

from memgrid._http import sdk_version
from memgrid._sync.client import Memgrid
from memgrid.client import AsyncMemgrid
from memgrid.errors import (
    Conflict,
    Forbidden,
    InternalError,
    InvalidInput,
    MemgridError,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
)
from memgrid.models import (
    AddRequest,
    AddResult,
    ContextBlock,
    MemoryOut,
    MessageIn,
    MessageOut,
    Profile,
    SearchHit,
    SearchResult,
)

__version__ = sdk_version()

__all__ = [
    "AddRequest",
    "AddResult",
    "AsyncMemgrid",
    "Conflict",
    "ContextBlock",
    "Forbidden",
    "InternalError",
    "InvalidInput",
    "Memgrid",
    "MemgridError",
    "MemoryOut",
    "MessageIn",
    "MessageOut",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "Profile",
    "SearchHit",
    "SearchResult",
    "Unauthenticated",
    "Unavailable",
    "__version__",
]
