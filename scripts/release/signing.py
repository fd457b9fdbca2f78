"""Signatures, by cosign: with a key, or without one by the identity of whoever signs."""

import base
from base import Refused, finished, run

# A key of one's own says who signs. Without one, a public log has to say when the short-lived certificate was used.
OFFLINE = ["--use-signing-config=false", "--tlog-upload=false"]


class Signer:
    def __init__(self, key, insecure):
        self.cosign = program()
        self.key = ["--key", key, *OFFLINE] if key else []
        self.registry = ["--allow-http-registry"] if insecure else []

    def sign(self, reference):
        run(self.cosign, "sign", "--yes", *self.key, *self.registry, reference)

    def sign_file(self, file, bundle):
        run(self.cosign, "sign-blob", "--yes", *self.key, "--bundle", bundle, file)


class Verifier:
    """Checks signatures by a public key, or by an identity and who vouches for it."""

    def __init__(self, public_key, identity, issuer, insecure):
        self.cosign = program()
        if public_key:
            self.by = ["--key", public_key, "--insecure-ignore-tlog"]
        else:
            self.by = ["--certificate-identity-regexp", identity, "--certificate-oidc-issuer", issuer]
        self.registry = ["--allow-http-registry"] if insecure else []

    def wrong(self, reference):
        """Why the signature does not count, or nothing."""
        return why(finished(self.cosign, "verify", *self.by, *self.registry, "--output", "json", reference))

    def file_wrong(self, file, bundle):
        return why(finished(self.cosign, "verify-blob", *self.by, "--bundle", bundle, file))


def why(done):
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[0].removeprefix("Error: ") if lines else f"cosign ended with {done.returncode}"


def program():
    """cosign: $COSIGN, the one on PATH, or the one that scripts/cosign.sh has built."""
    found = base.tool("cosign.sh", "--built")
    if not found:
        raise Refused(
            "cosign is not here: install it from https://github.com/sigstore/cosign, or run scripts/cosign.sh, which builds it "
            "with Go. `make publish UNSIGNED=1` goes on without signatures."
        )
    return found
