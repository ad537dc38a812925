"""How people sign in, as the operator sets it."""

from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from gateway_http.signin.people import Terms
from gateway_http.signin.roles import HOW, read_map

SHORTEST_SECRET = 32


def _trusted(url: str) -> str:
    """Accept an address whose answers cannot be changed on their way."""
    if not url:
        return ""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and _is_loopback(parts.hostname or "")
    )
    if not secure or not parts.hostname or parts.fragment or parts.username:
        raise ValueError(
            "must begin with https://, since whoever could change what comes from "
            "there could sign in as anybody; http:// is for this machine alone"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _strong(secret: SecretStr | None) -> SecretStr | None:
    if secret and len(secret.get_secret_value().encode()) < SHORTEST_SECRET:
        raise ValueError(
            f"must have at least {SHORTEST_SECRET} bytes, or it can be guessed: "
            f"make one with `openssl rand -hex 32`"
        )
    return secret


def _role_map(text: str) -> str:
    read_map(text)
    return text


TrustedUrl = Annotated[str, AfterValidator(_trusted)]


class SignInSettings(BaseModel):
    """Whose word is taken for who people are."""

    oidc_issuer_url: TrustedUrl = Field(
        "",
        description="The provider people sign in with, exactly as it calls itself; "
        "empty: by API key alone.",
    )
    oidc_client_id: str = Field("", description="Who we are at the provider.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Our password there; a public client has none."
    )
    oidc_scopes: str = Field(
        "openid profile email", description="What is asked of the provider."
    )
    oidc_groups_claim: str = Field(
        "groups",
        min_length=1,
        description="Where it tells somebody's groups; a.b is a claim in a claim.",
    )
    oidc_role_map: Annotated[str, AfterValidator(_role_map)] = Field(
        "",
        description="group=role with commas between, *=role for everybody; the roles "
        "are admin, operator and viewer.",
    )
    jwt_secret: Annotated[SecretStr | None, AfterValidator(_strong)] = Field(
        None, description="Bearer tokens signed with this (HS256) let in; 32 bytes."
    )
    jwt_jwks_url: TrustedUrl = Field(
        "", description="Bearer tokens signed with a key published there let in."
    )
    jwt_issuer: str = Field("", description="Who makes these tokens (iss).")
    jwt_audience: str = Field("", description="Whom they must be made for (aud).")

    @property
    def terms(self) -> Terms:
        """How what an issuer says is taken."""
        return Terms(self.oidc_groups_claim, read_map(self.oidc_role_map))

    @property
    def takes_jwt(self) -> bool:
        """Whether bearer tokens let in."""
        return bool(self.jwt_secret or self.jwt_jwks_url)

    @model_validator(mode="after")
    def _whole_oidc(self) -> Self:
        if not self.oidc_issuer_url:
            return self
        if not self.oidc_client_id:
            raise ValueError("OIDC_ISSUER_URL needs OIDC_CLIENT_ID")
        if not self.oidc_role_map:
            raise ValueError(
                f"OIDC_ISSUER_URL needs OIDC_ROLE_MAP, or nobody who signs in may do "
                f"anything: {HOW}"
            )
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("OIDC_SCOPES needs `openid` among them")
        return self

    @model_validator(mode="after")
    def _whole_jwt(self) -> Self:
        if not self.takes_jwt:
            return self
        if self.jwt_secret and self.jwt_jwks_url:
            raise ValueError("JWT_SECRET and JWT_JWKS_URL: set one of them, not both")
        if not (self.jwt_issuer and self.jwt_audience):
            name = "JWT_SECRET" if self.jwt_secret else "JWT_JWKS_URL"
            raise ValueError(
                f"{name} needs JWT_ISSUER and JWT_AUDIENCE: a token that was made for "
                f"somebody else must not let in here"
            )
        return self
