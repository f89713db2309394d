"""One typed settings object: defaults < endcap.toml < files of secrets < ENDCAP_* environment <
flags."""

import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadSettingError

import endcap.assistant
from endcap.counted import counted
from endcap.deploy.secret_files import FOLDER, SecretFiles
from endcap.errors import SettingsError
from endcap.near_names import did_you_mean
from endcap.pseudonyms import Naming, naming
from endcap.streams.kafka_security import BrokerAddress, KafkaSecurity, Mechanism, Protocol
from endcap.topics import Topic, Topics, generation_suffix, topics_with_prefix

BUNDLES = Path(__file__).parent / "bundles"
DEMO_BUNDLE = BUNDLES / "completejourney"
SHOP_DOCUMENTS = Path(__file__).parent / "shop_documents"
INTENTS = Path(endcap.assistant.__file__).with_name("intents.npz")
_PREFIX = "ENDCAP_"
SECRETS = (
    "redis_url",
    "kafka_password",
    "erasure_secret",
    "pseudonym_secret",
    "assistant_phrasing_key",
    "shopper_token_secret",
)
"""What a file may hold instead (`deploy.secret_files`), and no message shows."""
_UNSHOWN = {*SECRETS, "sources", "adapters", "api_keys"}
"""Of the others a password may stand in a part: in the URL of a registry, say."""
_NOT_SETTINGS = {"ENDCAP_DATA", FOLDER} | {f"ENDCAP_{name.upper()}_FILE" for name in SECRETS}
"""The first is read by the tests and benchmarks alone."""


class Settings(BaseSettings):
    """Everything that can be configured, with its default."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, toml_file="endcap.toml", extra="forbid")

    kafka_bootstrap_servers: str | None = None
    kafka_security_protocol: Protocol = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://.+")] | None = Field(
        default=None, repr=False
    )
    topic_prefix: str = "endcap"
    generation: int = Field(default=1, ge=1, le=4096)
    partitions: int = Field(default=4, ge=1)
    replication: int = Field(default=1, ge=1)
    bundle: Path = DEMO_BUNDLE
    bundle_signers: Path | None = None
    models_file: Path | None = None
    experiments_file: Path | None = None
    rules_file: Path | None = None
    messages_file: Path | None = None
    segments_file: Path | None = None
    price_evidence_file: Path | None = None
    price_rules_file: Path | None = None
    provider: Literal["cpu", "cuda"] = "cpu"
    provider_required: bool = False
    inference_threads: int = Field(default=1, ge=0)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    http_rescore: bool = False
    http_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    http_shop: bool = True
    http_office: bool = False
    api_keys: dict[str, dict[str, Any]] = Field(default_factory=dict)
    api_keys_file: Path | None = None
    rate_limit_per_s: float = Field(default=0, ge=0)
    rate_limit_burst: int = Field(default=0, ge=0)
    placements: dict[str, dict[str, Any]] = Field(default_factory=dict)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    session_store: Literal["disk", "memory"] = "disk"
    compiled_fold: bool = True
    session_timeout_s: int = Field(default=10, ge=1)
    start_from: str = "earliest"
    lateness_s: int = Field(default=60, ge=0)
    forget_after_days: int = Field(default=400, ge=0)
    events_retention_days: int = Field(default=30, ge=0)
    impressions_retention_days: Annotated[int, Field(ge=0)] | None = None
    conversations_retention_days: Annotated[int, Field(ge=0)] | None = None
    campaigns_retention_days: Annotated[int, Field(ge=0)] | None = None
    dead_letters_retention_days: int = Field(default=30, ge=0)
    erasure_secret: SecretStr = SecretStr("")
    group_instance_id: str | None = None
    trends_window_h: int = Field(default=168, ge=1)
    trends_now_h: int = Field(default=24, ge=1)
    trends_hop_h: int = Field(default=1, ge=1)
    trends_max_buckets: int = Field(default=500_000, ge=1)
    trends_max_stores: int = Field(default=1000, ge=0)
    trends_checkpoint_s: float = Field(default=5, gt=0, le=60)
    trends_extensions: Annotated[list[str], NoDecode] = Field(default_factory=list)
    co_purchase_period_days: int = Field(default=28, ge=1)
    co_purchase_max_items: int = Field(default=100_000, ge=0)
    assistant: bool = False
    assistant_documents: Path = SHOP_DOCUMENTS
    assistant_intents: Path = INTENTS
    assistant_currency: str = Field(default="$", min_length=1, max_length=8)
    assistant_phrasing_url: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    assistant_phrasing_model: str = ""
    assistant_phrasing_key: SecretStr = SecretStr("")
    assistant_phrasing_timeout_s: float = Field(default=2.0, gt=0, le=30)
    pseudonym_secret: SecretStr = SecretStr("")
    shopper_token_secret: SecretStr = SecretStr("")
    shopper_token_valid_s: int = Field(default=3600, ge=1, le=31 * 86_400)
    adapters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    log_format: Literal["text", "json"] = "text"
    tracing_endpoint: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    cache_dir: Path | None = None
    data_dir: Path = Path("runs")

    @field_validator("start_from")
    @classmethod
    def _a_start(cls, value: str) -> str:
        if value not in {"earliest", "latest"}:
            datetime.fromisoformat(value)  # a ValueError is named with the setting
        return value

    @field_validator("trends_extensions", "http_origins", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """In the environment they stand in one line, with commas."""
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value

    @field_validator("trends_hop_h")
    @classmethod
    def _hops(cls, value: int, info: ValidationInfo) -> int:
        """An hour that no window holds would count nowhere."""
        shortest = min(info.data.get(name, value) for name in ("trends_window_h", "trends_now_h"))
        if value > shortest:
            raise ValueError(f"a window of {counted(shortest, 'hour')} cannot hop by more")
        return value

    @property
    def broker(self) -> BrokerAddress:
        """Where Kafka is, and how one identifies oneself there: the one set, else one on this
        machine.

        Raises:
            SettingsError: what is set of its security contradicts itself.
        """
        return self.given_broker or BrokerAddress("localhost:9092", self._kafka_security)

    @property
    def given_broker(self) -> BrokerAddress | None:
        """The one that is set; see `broker`."""
        if not self.kafka_bootstrap_servers:
            return None
        return BrokerAddress(self.kafka_bootstrap_servers, self._kafka_security)

    @property
    def _kafka_security(self) -> KafkaSecurity:
        return KafkaSecurity(
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_username,
            self.kafka_password.get_secret_value(),
            self.kafka_ca_file,
            self.kafka_certificate_file,
            self.kafka_key_file,
        ).checked()

    @property
    def store(self) -> str:
        """Where Redis is: the one set, else one on this machine."""
        return self.redis_url or "redis://localhost:6379/0"

    @property
    def naming(self) -> Naming | None:
        """What makes pseudonyms of shoppers' ids; None: they are kept as they come.

        Raises:
            SettingsError: the secret is too short.
        """
        return naming(self.pseudonym_secret.get_secret_value())

    def kept_id(self, user_id: str) -> str:
        """The id under which a shopper is kept."""
        name = self.naming
        return user_id if name is None else name(user_id)

    @property
    def topics(self) -> Topics:
        """This installation's topics."""
        return topics_with_prefix(self.topic_prefix, self.generation)

    @property
    def kept_days(self) -> dict[Topic, int]:
        """How long single topics keep their records, where they are not kept as events are."""
        said = {
            self.topics.impressions: self.impressions_retention_days,
            self.topics.conversations: self.conversations_retention_days,
            self.topics.campaigns: self.campaigns_retention_days,
            self.topics.dead_letters: self.dead_letters_retention_days,
        }
        return {topic: days for topic, days in said.items() if days is not None}

    @property
    def stream_group(self) -> str:
        """The session workers' consumer group."""
        return self.group("stream")

    def group(self, role: str) -> str:
        """The consumer group of a kind of process, in this generation."""
        return f"{self.topic_prefix}-{role}{generation_suffix(self.generation)}"

    @property
    def models_path(self) -> Path:
        """Where it is said which bundle scores: the file set, else one in the data folder."""
        return self.models_file or self.data_dir / "models.json"

    @property
    def experiments_path(self) -> Path:
        """Where the experiments stand: the file set, else one in the data folder."""
        return self.experiments_file or self.data_dir / "experiments.yaml"

    @property
    def segments_path(self) -> Path:
        """What segments are made by: the file set, else one in the data folder."""
        return self.segments_file or self.data_dir / "segments.json"

    @property
    def price_evidence_path(self) -> Path:
        """What prices are suggested from: the file set, else one in the data folder."""
        return self.price_evidence_file or self.data_dir / "prices.npz"

    @property
    def sessions_dir(self) -> Path:
        """Where a worker keeps its sessions beside the topic."""
        return self.data_dir / "sessions" / (self.topic_prefix + generation_suffix(self.generation))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then secrets in files, then endcap.toml."""
        files = SecretFiles(settings_cls, SECRETS)
        return init_settings, env_settings, files, TomlConfigSettingsSource(settings_cls)


def load_settings(**flags: Any) -> Settings:
    """Settings of this process; flags that are None count as not given.

    Raises:
        SettingsError: one is unknown or of the wrong form; the message names it and what fits.
    """
    _refuse_unknown_environment()
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"endcap.toml is not TOML: {error}.") from error
    except UnreadSettingError as error:  # a variable of the environment that should be JSON
        raise SettingsError(
            f"A setting cannot be read: {error}. A table or a list stands in the environment as "
            """JSON, such as ENDCAP_SOURCES='{"clicks": {"topic": "shop.clicks"}}'."""
        ) from error
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error


def settings_in_file() -> set[str]:
    """The names that endcap.toml sets."""
    return set(TomlConfigSettingsSource(Settings)())


def _refuse_unknown_environment() -> None:
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | _NOT_SETTINGS
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in known:
            raise SettingsError(f"The setting {name} is unknown.{_closest(name, known)}")


def _explain(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"The setting {name} is unknown.{_closest(name, set(Settings.model_fields))}"
    given = "wrong" if name.partition(".")[0] in _UNSHOWN else repr(problem["input"])
    return (
        f"The setting {name} is {given}: {problem['msg']}. Set it by "
        f"{_PREFIX}{name.upper()}, in endcap.toml, or by a flag."
    )


def _closest(name: str, known: set[str]) -> str:
    return did_you_mean(name, known) or f" Known: {', '.join(sorted(known))}."
