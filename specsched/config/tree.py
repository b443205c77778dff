"""The configuration: a frozen tree, unknown keys refused, a unit in each name, a description on each field."""

import hashlib

from pydantic import Field

from specsched.config.sections.admin import Admin
from specsched.config.sections.admission import Admission
from specsched.config.sections.base import LIVE, Section
from specsched.config.sections.classifier import Classifier
from specsched.config.sections.log import Log
from specsched.config.sections.policy import Policy
from specsched.config.sections.pool import PoolSection
from specsched.config.sections.server import Server
from specsched.config.sections.store import Store
from specsched.config.sections.telemetry import Telemetry
from specsched.config.sections.workers import Workers


class Config(Section):
    """specsched.yaml."""

    server: Server = Field(default=Server(), description="The public gRPC surface.")
    admin: Admin = Field(default=Admin(), description="The operators' gRPC surface.")
    pool: PoolSection = Field(default=PoolSection(), description="Which models are served.")
    classifier: Classifier = Field(default=Classifier(), description="Prompt classification.")
    policy: Policy = Field(default=Policy(), description="How draft and gamma are chosen.", json_schema_extra=LIVE)
    admission: Admission = Field(
        default=Admission(), description="How much the service takes on.", json_schema_extra=LIVE
    )
    workers: Workers = Field(default=Workers(), description="The processes that own the models.")
    telemetry: Telemetry = Field(default=Telemetry(), description="What the service says of itself.")
    store: Store = Field(default=Store(), description="What the policy has learnt, over restarts.")
    log: Log = Field(default=Log(), description="Logging to standard error.")

    @property
    def sha(self) -> str:
        """Digest of all values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
