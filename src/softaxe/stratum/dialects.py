"""How pools that people use speak Stratum v1: one row each, so that ours can be any.

A row holds what a miner can see: the spelling of messages, their order, what is refused
and how, and how the difficulty moves. Difficulties are those of the pool's own unit, 1
on the real network. Facts are from the pools' sources, named with each row, and from
what they sent to a device; what depends on an operator's settings is as delivered.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from json import JSONEncoder
from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import replace

from softaxe.description import about
from softaxe.errors import SettingError
from softaxe.stratum.vardiff import VardiffRules

Error = tuple[int | str | None, ...]
Step = Literal["difficulty", "difficulty unless told", "job"]
ShareVersion = Literal["xor", "or", "masked"]

SHARE_VERSIONS: Mapping[ShareVersion, Callable[[int, int, int], int]] = {
    "xor": lambda version, bits, mask: version ^ bits,
    "or": lambda version, bits, mask: version | bits,
    "masked": lambda version, bits, mask: version & ~mask | bits,
}
"""The version of a share's header from the job's, the submitted bits and the mask.

They agree where the job's version has no bit inside the mask. What a Bitaxe submits,
`rolled ^ version`, is right for `xor` always."""

MOST_VERSION = 0xFFFFFFFF
BLOCK_VERSION = 0x20000000
"""No soft fork is signalled. Source: BIP 9."""

CONFIGURE = "mining.configure"
SUBSCRIBE = "mining.subscribe"
AUTHORIZE = "mining.authorize"
SUBMIT = "mining.submit"
SUGGEST_DIFFICULTY = "mining.suggest_difficulty"
SUBSCRIBE_EXTRANONCE = "mining.extranonce.subscribe"
PING = "mining.ping"
EVERYWHERE = (CONFIGURE, SUBSCRIBE, AUTHORIZE, SUBMIT)

MALFORMED = "Malformed request"
UNKNOWN_METHOD = "Unknown method"
BAD_WORKER = "Bad worker name"
TOO_MANY_WORKERS = "Too many workers"
UNAUTHORIZED_WORKER = "Unauthorized worker"
UNSUBSCRIBED = "Not subscribed"
NOT_POSITIVE = "Difficulty must be positive"
UNKNOWN_JOB = "Job not found"
STALE_JOB = "Stale"
NTIME_OUT_OF_RANGE = "ntime out of range"
BITS_OUTSIDE_MASK = "Version bits outside the mask"
MALFORMED_SHARE = "Malformed share"
LOW_DIFFICULTY_SHARE = "Low difficulty share"
BELOW_1 = "Low difficulty share, below 1"
DUPLICATE_SHARE = "Duplicate share"
"""What is wrong with a request, in our pool's words; the keys of `Dialect.errors`."""
OTHER = 20
CODES: Mapping[str, int] = {
    MALFORMED: OTHER,
    UNKNOWN_METHOD: OTHER,
    BAD_WORKER: 24,
    TOO_MANY_WORKERS: 24,
    UNAUTHORIZED_WORKER: 24,
    UNSUBSCRIBED: 25,
    NOT_POSITIVE: OTHER,
    UNKNOWN_JOB: 21,
    STALE_JOB: 21,
    NTIME_OUT_OF_RANGE: OTHER,
    BITS_OUTSIDE_MASK: OTHER,
    MALFORMED_SHARE: OTHER,
    LOW_DIFFICULTY_SHARE: 23,
    BELOW_1: 23,
    DUPLICATE_SHARE: 22,
}
"""And the codes of it; of whatever else, `OTHER`. Source: the Stratum v1 description of
Slush Pool."""
UNJUDGED = frozenset({MALFORMED, UNAUTHORIZED_WORKER, BITS_OUTSIDE_MASK})
"""What keeps a share from being hashed at all."""


class Dialect(Struct, frozen=True, kw_only=True):
    """One pool's way to speak; a member is read at one place of `stratum.pool`."""

    # Spelling

    reply: Annotated[str, about("a request that is accepted")] = (
        '{"id": %(id)s, "result": %(result)s, "error": null}'
    )
    refusal: Annotated[str, about("a request that is refused")] = (
        '{"id": %(id)s, "result": null, "error": %(error)s}'
    )
    unjudged_refusal: Annotated[
        str | None,
        about("a share that is not even hashed, if not refused as others are"),
    ] = None
    error_tail: Annotated[Error, about("what follows code and text in an error")] = (
        None,
    )
    notification: Annotated[str, about("what the pool says by itself")] = (
        '{"id": null, "method": "%(method)s", "params": %(params)s}'
    )
    separators: Annotated[
        tuple[str, str], about("between entries, and after a key")
    ] = (
        ", ",
        ": ",
    )
    subscription: Annotated[str, about("the result of `mining.subscribe`")] = (
        '[[["mining.set_difficulty", "1"], ["mining.notify", "1"]], '
        '"%(extranonce1)s", %(size)d]'
    )
    extranonce2_size: Annotated[int, about("bytes of the extranonce2")] = 8
    job_id: Annotated[str, about("a job's id, of its number")] = "%x"

    # Order

    on_subscribed: Annotated[
        tuple[Step, ...], about("after the reply to `mining.subscribe`")
    ] = ()
    before_authorized: Annotated[
        tuple[Step, ...], about("before the reply to `mining.authorize`")
    ] = ()
    on_authorized: Annotated[tuple[Step, ...], about("after that reply")] = (
        "difficulty",
        "job",
    )

    # Requests

    methods: Annotated[tuple[str, ...], about("methods with a meaning")] = (
        *EVERYWHERE,
        SUGGEST_DIFFICULTY,
        SUBSCRIBE_EXTRANONCE,
        PING,
    )
    answers: Annotated[
        Mapping[str, str], about("methods that get always the same answer")
    ] = {}
    answers_unknown: Annotated[bool, about("other methods are answered")] = True
    most_malformed: Annotated[
        int, about("lines that are no JSON before the pool hangs up")
    ] = 20
    negotiates: Annotated[
        bool,
        about("`mining.configure` grants what is asked for, not always the same"),
    ] = True
    declined: Annotated[
        tuple[str, ...] | None,
        about("extensions answered with false; -: all that are not known"),
    ] = None
    tells_mask: Annotated[
        bool, about("`mining.set_version_mask` after `mining.configure`")
    ] = False
    renews_extranonce: Annotated[
        bool,
        about("who subscribes to extranonces gets a new one at once and with blocks"),
    ] = False

    # Users

    users: Annotated[
        Literal["any name", "addresses"], about("who may mine; before the first dot")
    ] = "any name"
    wrong_user: Annotated[
        str | None, about("the reply to another user, if not as other refusals")
    ] = None
    wrong_user_stays_s: Annotated[
        float | None, about("seconds until the pool hangs up on one; -: never")
    ] = None
    serves_anybody: Annotated[
        bool, about("jobs come with the subscription, whoever the user is")
    ] = False
    checks_worker: Annotated[
        bool, about("a share under another name than the authorized is refused")
    ] = True
    early_submit: Annotated[
        Literal["refused", "ignored", "hung up on"],
        about("a share of a miner that has not subscribed and authorized"),
    ] = "refused"

    # Shares

    errors: Annotated[
        Mapping[str, Error], about("refusals, by the words that our own pool has")
    ] = {}
    tells_stale: Annotated[
        bool, about("jobs of an earlier block are told from unknown ones")
    ] = False
    checks_mask: Annotated[bool, about("bits outside the mask are refused")] = True
    share_version: Annotated[
        ShareVersion,
        about("how the bits of a share go into the job's version"),
    ] = "masked"
    job_version: Annotated[int, about("version of the jobs")] = BLOCK_VERSION
    judged_by: Annotated[
        Literal["job", "connection", "easier of both"],
        about("whose difficulty a share has to meet"),
    ] = "job"

    # Difficulty

    start_difficulty: Annotated[
        float | None, about("to begin with; -: what suits a CPU, or a chip")
    ] = None
    takes_suggestions: Annotated[
        Literal["every", "the first"], about("which suggested difficulties count")
    ] = "every"
    early_suggestion: Annotated[
        Literal["kept", "told", "ignored"],
        about("one before the first job is kept for then, told at once, or ignored"),
    ] = "kept"
    answers_suggestion: Annotated[bool, about("a suggestion has a result")] = True
    tells_any_suggestion: Annotated[
        bool, about("`mining.set_difficulty` also where a suggestion changes nothing")
    ] = False
    suggestion_brings_job: Annotated[bool, about("a suggestion brings a job, too")] = (
        True
    )
    change_is_told: Annotated[
        Literal["at once", "with the next job"], about("a change of the difficulty")
    ] = "at once"
    change_brings: Annotated[
        Literal["job", "clean job", "nothing"], about("what follows a change")
    ] = "job"
    vardiff: Annotated[VardiffRules, about(inner=True)] = VardiffRules()

    def json(self, value: object) -> str:
        """Return a value as it goes over the wire."""
        if value is True:  # these two are every answer to a share
            return "true"
        if type(value) is int:
            return str(value)
        return _encoder(self.separators)(value)

    def error(self, reason: str, *, is_ordered: bool = False) -> Error:
        """Return the error for what is wrong.

        Args:
            reason: In our own words.
            is_ordered: They are somebody's, who wants to see them as they are.
        """
        code = OTHER if is_ordered else CODES.get(reason, OTHER)
        usual = (code, reason, *self.error_tail)
        return usual if is_ordered else self.errors.get(reason, usual)

    def refused(
        self,
        id_: int | str | None,
        reason: str,
        *,
        difficulty: float = 0.0,
        is_ordered: bool = False,
    ) -> str:
        """Return the line that answers a request with what is wrong.

        Args:
            id_: Of the request.
            reason: In our own words.
            difficulty: That of a share which is too easy, in the pool's unit.
            is_ordered: As for `error`.
        """
        if reason == LOW_DIFFICULTY_SHARE and difficulty < 1 and BELOW_1 in self.errors:
            reason = BELOW_1
        code, text, *tail = self.error(reason, is_ordered=is_ordered)
        if isinstance(text, str):
            text = text.replace("%(difficulty)s", repr(difficulty))
        values = {
            "id": self.json(id_),
            "error": self.json([code, text, *tail]),
            "reason": self.json(text),
        }
        is_unjudged = reason in UNJUDGED and not is_ordered
        template = self.unjudged_refusal if is_unjudged else None
        return (template or self.refusal) % values

    def start(self, usual: float, *, unit: float) -> float:
        """Return the difficulty to begin with, where nobody orders one.

        Args:
            usual: Where the dialect has none.
            unit: What its own are multiples of.
        """
        return usual if self.start_difficulty is None else self.start_difficulty * unit


@cache
def _encoder(separators: tuple[str, str]) -> Callable[[object], str]:
    return JSONEncoder(separators=separators).encode


_COMPACT = (",", ":")
SOFTAXE = Dialect()

PUBLIC_POOL = Dialect(
    # Source: github.com/benjamin-wilson/public-pool, src/models.
    separators=_COMPACT,
    notification='{"id":null,"method":"%(method)s","params":%(params)s}',
    reply='{"id":%(id)s,"error":null,"result":%(result)s}',
    refusal='{"id":%(id)s,"result":null,"error":%(error)s}',
    error_tail=("",),
    subscription='[[["mining.notify","%(extranonce1)s"]],"%(extranonce1)s",%(size)d]',
    extranonce2_size=4,
    on_authorized=("difficulty unless told", "job"),
    methods=(*EVERYWHERE, SUGGEST_DIFFICULTY),
    answers_unknown=False,
    most_malformed=0,
    negotiates=False,
    users="addresses",
    wrong_user='{"id":%(id)s,"result":null,"error":'
    '[20,"Authorization validation error",", %(address)s"]}',
    checks_worker=False,
    early_submit="hung up on",
    errors={
        LOW_DIFFICULTY_SHARE: (23, "Difficulty too low", ""),
        MALFORMED_SHARE: (20, "Mining Submit validation error", ""),
    },
    checks_mask=False,
    share_version="xor",
    judged_by="connection",
    start_difficulty=16384,
    takes_suggestions="the first",
    early_suggestion="told",
    answers_suggestion=False,
    tells_any_suggestion=True,
    suggestion_brings_job=False,
    vardiff=VardiffRules(
        interval_s=10,
        window_shares=None,
        slow_window_shares=None,
        window_s=60,
        least_shares=5,
        silence_s=60,
        patience_intervals=None,
        silence_divisor=6,
        rounding="power of two",
        smallest=0.001,
    ),
)

BLITZPOOL = replace(
    # Source: github.com/warioishere/blitzpool, src/models: public-pool's descendant.
    PUBLIC_POOL,
    methods=(*PUBLIC_POOL.methods, SUBSCRIBE_EXTRANONCE),
    renews_extranonce=True,
    wrong_user='{"id":%(id)s,"result":null,"error":[20,"Invalid Bitcoin address",""]}',
    wrong_user_stays_s=0,
    early_submit="refused",
    errors={
        **PUBLIC_POOL.errors,
        UNAUTHORIZED_WORKER: (24, "Unauthorized worker", ""),
        MALFORMED_SHARE: (20, "Invalid mining submit message", ""),
    },
    change_brings="clean job",
    vardiff=replace(PUBLIC_POOL.vardiff, rounding="half steps", smallest=1e-5),
)

CKPOOL = Dialect(
    # Source: github.com/ckolivas/ckpool 0.9.9, src/stratifier.c, solo mode.
    separators=_COMPACT,
    notification='{"params":%(params)s,"id":null,"method":"%(method)s"}',
    reply='{"result":%(result)s,"error":null,"id":%(id)s}',
    refusal='{"reject-reason":%(reason)s,"result":false,"error":null,"id":%(id)s}',
    unjudged_refusal='{"result":false,"error":%(reason)s,"id":%(id)s}',
    subscription='[[["mining.notify","%(extranonce1)s"]],"%(extranonce1)s",%(size)d]',
    job_id="%016x",
    on_subscribed=("difficulty",),
    before_authorized=("job", "difficulty"),
    on_authorized=(),
    methods=(*EVERYWHERE, SUGGEST_DIFFICULTY),
    answers_unknown=False,
    most_malformed=0,
    negotiates=False,
    users="addresses",
    wrong_user='{"result":false,"error":null,"id":%(id)s}',
    wrong_user_stays_s=120,
    early_submit="ignored",
    errors={
        MALFORMED: (20, "Invalid array size", None),
        UNAUTHORIZED_WORKER: (24, "Worker mismatch", None),
        UNKNOWN_JOB: (21, "Invalid JobID", None),
        STALE_JOB: (21, "Stale", None),
        NTIME_OUT_OF_RANGE: (20, "Ntime out of range", None),
        DUPLICATE_SHARE: (22, "Duplicate", None),
        LOW_DIFFICULTY_SHARE: (23, "Above target", None),
        BITS_OUTSIDE_MASK: (20, "Invalid version mask", None),
        MALFORMED_SHARE: (23, "Above target", None),  # it is cut, or filled with 0
    },
    tells_stale=True,
    share_version="or",
    judged_by="easier of both",
    start_difficulty=42,
    early_suggestion="ignored",
    answers_suggestion=False,
    suggestion_brings_job=False,
    change_brings="nothing",
    vardiff=VardiffRules(
        interval_s=3.33,
        window_shares=72,
        slow_window_shares=72,
        window_s=240,
        faster=1.33,
        silence_s=None,
        patience_intervals=None,
        rounding="whole",
        smallest=1,
        suggestion_is_smallest=True,
    ),
)

CKPOOL_LHR = replace(
    # Source: github.com/Z3r0XG/ckpool-lhr, for low hash rates.
    CKPOOL,
    refusal='{"result":false,"error":%(error)s,"id":%(id)s}',
    unjudged_refusal=None,
    answers={
        SUBSCRIBE_EXTRANONCE: '{"result":null,"error":[20,"Not supported.",null],'
        '"id":%(id)s}'
    },
    early_suggestion="kept",
    vardiff=replace(CKPOOL.vardiff, rounding="none", smallest=0.001),
)

DATUM = Dialect(
    # Source: github.com/OCEAN-xyz/datum_gateway, src/datum_stratum.c.
    separators=_COMPACT,
    notification='{"id":null,"method":"%(method)s","params":%(params)s}',
    reply='{"error":null,"id":%(id)s,"result":%(result)s}',
    refusal='{"error":%(error)s,"id":%(id)s,"result":null}',
    subscription='[[["mining.notify","%(extranonce1)s1"],'
    '["mining.set_difficulty","%(extranonce1)s2"]],"%(extranonce1)s",%(size)d]',
    job_id="%016x",
    on_subscribed=("difficulty", "job"),
    on_authorized=(),
    methods=EVERYWHERE,
    most_malformed=0,
    declined=("minimum-difficulty",),
    tells_mask=True,
    serves_anybody=True,
    checks_worker=False,
    errors={
        UNKNOWN_METHOD: (-3, "Method not found", None),
        UNKNOWN_JOB: (20, "unknown-work", None),
        STALE_JOB: (21, "stale-prevblk", None),
        NTIME_OUT_OF_RANGE: (21, "time-too-old", None),
        DUPLICATE_SHARE: (22, "duplicate", None),
        LOW_DIFFICULTY_SHARE: (23, "high-hash", None),
        BELOW_1: (23, "H-not-zero", None),
        BITS_OUTSIDE_MASK: (23, "bad-version", None),
        MALFORMED_SHARE: (20, "unknown-work", None),
    },
    tells_stale=True,
    share_version="or",
    start_difficulty=16384,
    change_is_told="with the next job",
    change_brings="nothing",
    vardiff=VardiffRules(
        interval_s=7.5,
        window_shares=16,
        slow_window_shares=None,
        window_s=40,
        silence_s=60,
        patience_intervals=8,
        silence_divisor=2,
        rounding="one doubling",
        smallest=16384,
    ),
)

NOMP = Dialect(
    # Source: github.com/blinkhash/foundation-v1-stratum, scripts/main.
    separators=_COMPACT,
    notification='{"id":null,"method":"%(method)s","params":%(params)s}',
    reply='{"id":%(id)s,"result":%(result)s,"error":null}',
    refusal='{"id":%(id)s,"result":null,"error":%(error)s}',
    error_tail=(),
    subscription='[[["mining.set_difficulty","deadbeefcafebabe%(extranonce1)s00000000"],'
    '["mining.notify","deadbeefcafebabe%(extranonce1)s00000000"]],'
    '"%(extranonce1)s",%(size)d]',
    extranonce2_size=4,
    on_subscribed=("difficulty", "job"),
    on_authorized=(),
    methods=EVERYWHERE,
    answers={
        SUBSCRIBE_EXTRANONCE: '{"id":%(id)s,"result":false,'
        '"error":[20,"Not supported.",null]}',
        "mining.get_transactions": '{"id":%(id)s,"result":[],'
        '"error":[20,"Not supported.",null]}',
    },
    answers_unknown=False,
    most_malformed=0,
    negotiates=False,
    users="addresses",
    wrong_user='{"id":%(id)s,"result":false,"error":null}',
    serves_anybody=True,
    checks_worker=False,
    errors={
        UNSUBSCRIBED: (25, "not subscribed", None),
        UNAUTHORIZED_WORKER: (24, "unauthorized worker", None),
        UNKNOWN_JOB: (21, "job not found"),
        NTIME_OUT_OF_RANGE: (20, "ntime out of range"),
        DUPLICATE_SHARE: (22, "duplicate share"),
        LOW_DIFFICULTY_SHARE: (23, "low difficulty share of %(difficulty)s"),
        BITS_OUTSIDE_MASK: (20, "invalid version bit"),
        MALFORMED_SHARE: (20, "incorrect size of extranonce2"),
    },
    judged_by="easier of both",
    change_is_told="with the next job",
    change_brings="nothing",
    vardiff=VardiffRules(
        interval_s=15,
        window_shares=None,
        slow_window_shares=None,
        window_s=90,
        faster=1.43,
        slower=1.3,
        silence_s=None,
        patience_intervals=None,
        rounding="none",
    ),
)

DIALECTS: Mapping[str, Dialect] = {
    "softaxe": SOFTAXE,
    "public-pool": PUBLIC_POOL,
    "blitzpool": BLITZPOOL,
    "ckpool": CKPOOL,
    "ckpool-lhr": CKPOOL_LHR,
    "datum": DATUM,
    "nomp": NOMP,
}
"""All of them, as they are asked for by name."""


def dialect_of(
    name: str,
    *,
    job_version: int | None = None,
    share_version: str | None = None,
) -> Dialect:
    """Return a dialect, with another job version or formula where one is given.

    Raises:
        SettingError: There is no such dialect or formula.
    """
    chosen = DIALECTS[check_dialect(name)]
    if job_version is not None:
        chosen = replace(chosen, job_version=job_version)
    if share_version is not None:
        chosen = replace(chosen, share_version=check_share_version(share_version))
    return chosen


def check_dialect(name: str) -> str:
    """Return the name if it is one of `DIALECTS`.

    Raises:
        SettingError: It is none.
    """
    return _one_of(name, DIALECTS)


def check_share_version(name: str) -> str:
    """Return the name if it is one of `SHARE_VERSIONS`.

    Raises:
        SettingError: It is none.
    """
    return _one_of(name, SHARE_VERSIONS)


def read_version(text: str) -> int:
    """Read a block version as people write it, such as `0x30000000`.

    Raises:
        SettingError: It is no number of 32 bits.
    """
    try:
        version = int(text, 0)
    except ValueError:
        version = -1
    if not 0 <= version <= MOST_VERSION:
        raise SettingError(f"{text!r} is no number from 0 to {MOST_VERSION:#x}")
    return version


def _one_of(name: str, known: Iterable[str]) -> str:
    if name not in known:
        raise SettingError(f"{name!r} is none of {', '.join(known)}")
    return name
