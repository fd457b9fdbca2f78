"""`make dist`, `make publish` and `make verify-release` with a real registry and real signatures, and what they refuse."""

import gzip
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import checkout
import image_test
import yaml
from publication import COSIGN, NAMES, VERSION, Published, release, sha256


class Made(Published):
    """What comes out of `make dist` and `make publish`."""

    def test_dist_is_the_same_again(self):
        again = self.here.root / "target" / "dist"
        self.here.made("dist", **self.how)
        self.assertEqual((again / "SHA256SUMS").read_text(), (self.built / "SHA256SUMS").read_text())

    def test_a_published_release_comes_back_as_it_was_built(self):
        self.published(UNSIGNED=1)
        references = json.loads((self.dist / "digests.json").read_text())
        self.assertEqual(sorted(references), sorted(NAMES))
        for name, reference in references.items():
            tagged, digest = reference.rsplit("@", 1)
            self.assertEqual(tagged, f"{self.registry}/{name}:{VERSION}")
            self.assertEqual(self.crane("digest", tagged), digest)

        image = json.loads(self.crane("manifest", references["cellgate"]))
        (platform,) = image["manifests"]
        self.assertEqual(platform["platform"], {"os": "linux", "architecture": image_test.ARCHITECTURE})
        exported = self.crane("export", references["cellgate"], "-", "--platform", f"linux/{image_test.ARCHITECTURE}", text=False)
        with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
            self.assertEqual(archive.getnames(), ["cellgate"])
            self.assertEqual(sha256(archive.extractfile("cellgate").read()), sha256(self.program.read_bytes()))

        filter_ = json.loads(self.crane("manifest", references["cellgate-filter"]))
        self.assertEqual(len(filter_["layers"]), 2)
        where = f"{self.registry}/cellgate-filter@{filter_['layers'][1]['digest']}"
        self.assertEqual(self.crane("blob", where, text=False), self.module.read_bytes())

    def test_the_pulled_chart_installs_the_release_by_digest(self):
        self.here.made("dist", REGISTRY=self.registry, **self.how)
        self.published(UNSIGNED=1)
        digests = {name: found.rsplit("@", 1)[1] for name, found in json.loads((self.dist / "digests.json").read_text()).items()}
        with tempfile.TemporaryDirectory() as folder:
            helm = os.environ["HELM"]
            pull = [helm, "pull", f"oci://{self.registry}/charts/cellgate", "--version", VERSION, "--plain-http", "-d", folder]
            subprocess.run(pull, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            values = yaml.safe_load((checkout.ROOT / "istio" / "values.yaml").read_text())
            # A user of a release names neither.
            del values["image"], values["filter"]["module"]
            mine = pathlib.Path(folder) / "values.yaml"
            mine.write_text(yaml.safe_dump(values))
            render = [helm, "template", "cellgate", f"{folder}/cellgate-{VERSION}.tgz", "--values", mine]
            done = subprocess.run(render, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.installs(done.stdout, digests["cellgate"], digests["cellgate-filter"])

    def test_a_chart_for_another_registry_is_refused(self):
        self.here.made("dist", REGISTRY="registry.example/other", **self.how)
        self.refused(self.publish(UNSIGNED=1), "The chart names the image registry.example/other/cellgate")

    def test_the_programs_archive_has_the_program(self):
        with tarfile.open(self.dist / f"cellgate-{VERSION}-linux-{image_test.ARCHITECTURE}.tar.gz") as archive:
            folder = f"cellgate-{VERSION}-linux-{image_test.ARCHITECTURE}"
            self.assertEqual(archive.getnames(), [f"{folder}/cellgate", f"{folder}/LICENSE"])
            entry = archive.getmember(f"{folder}/cellgate")
            self.assertEqual(entry.mode, 0o755)
            self.assertEqual(sha256(archive.extractfile(entry).read()), sha256(self.program.read_bytes()))

    def test_the_image_runs_as_the_dockerfile_says(self):
        layout = self.dist / "oci" / "cellgate"
        (descriptor,) = json.loads((layout / "index.json").read_text())["manifests"]
        read = lambda digest: (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
        manifest = json.loads(read(descriptor["digest"]))
        config = json.loads(read(manifest["config"]["digest"]))
        self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + sha256(gzip.decompress(read(manifest["layers"][0]["digest"])))])
        found = config["config"]
        self.assertEqual((found["User"], found["Entrypoint"], found["Cmd"]), ("65532:65532", ["/cellgate"], ["serve"]))
        self.assertEqual(found["Env"], ["CELLGATE_CONFIG=/etc/cellgate/cellgate.json", "CELLGATE_ADMIN=0.0.0.0:9902"])
        self.assertEqual(set(found["ExposedPorts"]), {"50051/tcp", "9902/tcp"})
        self.assertEqual(found["Labels"]["org.opencontainers.image.version"], VERSION)
        stamp = self.here.git("describe", "--always", "--abbrev=12", "--exclude=*")
        self.assertEqual(found["Labels"]["org.opencontainers.image.revision"], stamp)

    def test_the_sboms_have_what_is_compiled_in(self):
        service, module = (json.loads((self.dist / f"{name}-{VERSION}.cdx.json").read_text()) for name in NAMES[:2])
        of = lambda found: {part["name"] for part in found["components"]}
        self.assertLessEqual({"tokio", "hyper", "ring", "cellgate-routing"}, of(service))
        self.assertLessEqual({"proxy-wasm", "cellgate-routing"}, of(module))
        # Of the tests, of a build script, of the other package.
        self.assertFalse({"proptest", "rcgen", "cc"} & of(service))
        self.assertFalse({"tokio", "glibc"} & of(module))
        for found in [service, module]:
            parts = [found["metadata"]["component"], *found["components"]]
            references = {part["bom-ref"] for part in parts}
            self.assertEqual(len(references), len(parts))
            for edge in found["dependencies"]:
                self.assertLessEqual({edge["ref"], *edge["dependsOn"]}, references)
            crates = [part for part in found["components"] if part["purl"].startswith("pkg:cargo/") and "cellgate" not in part["name"]]
            self.assertTrue(all(part["licenses"] and part["hashes"] for part in crates))


    def test_the_sboms_say_of_files_from_elsewhere_only_what_the_files_say(self):
        for name, file in zip(NAMES[:2], [self.program, self.module]):
            found = json.loads((self.dist / f"{name}-{VERSION}.cdx.json").read_text())
            parts = {(part["name"], part["version"]) for part in found["components"] if part["purl"].startswith("pkg:generic/")}
            content, said = file.read_bytes(), set()
            for part, pattern in [("rust-std", rb"rustc version ([\d.]+)"), ("glibc", rb"GNU C Library .*release version (\d+\.\d+)")]:
                said |= {(part, version.decode()) for version in re.findall(pattern, content)}
            self.assertEqual(parts, said)

@unittest.skipUnless(COSIGN, "cosign is not here: `make test-release` builds it")
class Verified(Published):
    """What `make verify-release` finds."""

    def test_the_page_install_is_right(self):
        """Follows steps 1 to 3 of docs/install.md, with this registry and with a key in place of an identity."""
        self.here.made("dist", **self.how)
        self.signed()
        page = (checkout.ROOT / "docs" / "install.md").read_text()
        page = page.replace("registry.example", self.registry).replace(checkout.current(), VERSION)
        one, two, three = (page.split(f"## {number}. ")[1].split("\n## ")[0] for number in (1, 2, 3))
        key = f"--key {self.keys}/cosign.pub --insecure-ignore-tlog"
        digests = []
        for command in re.findall(r"^\$ (.*)$", one, re.MULTILINE):
            command = command.replace("--certificate-identity-regexp IDENTITY --certificate-oidc-issuer ISSUER", key)
            program, *rest = shlex.split(command)
            path = {"crane": self.crane.path, "cosign": COSIGN}[program]
            done = subprocess.run([path, *rest], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
            if program == "crane":
                digests.append(done.stdout.strip())
        self.assertEqual(len(digests), 2)
        values = next(block for block in re.findall(r"```yaml\n(.*?)```", two, re.DOTALL) if block.startswith("# values.yaml"))
        values = values.replace("digest: sha256:...", f"digest: {digests[0]}")
        values = values.replace("sha256: ... ", f"sha256: {digests[1].removeprefix('sha256:')} ")
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "values.yaml").write_text(values)
            install = re.search(r"^\$ helm install (.*) --wait$", three, re.MULTILINE)[1]
            # As an installation without a cluster: the same templates and refusals.
            command = [os.environ["HELM"], "template", *shlex.split(install), "--plain-http"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.installs(done.stdout, *digests)

    def test_a_published_release_verifies(self):
        self.signed()
        done = self.verify()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("ok    "), 3)
        # A user has none of the files.
        shutil.rmtree(self.dist)
        done = self.verify()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_publishing_again_changes_nothing(self):
        self.signed()
        before = (self.dist / "digests.json").read_text()
        self.signed()
        self.assertEqual((self.dist / "digests.json").read_text(), before)
        self.assertEqual(self.verify().returncode, 0)

    def test_another_digest_under_a_tag(self):
        self.signed()
        other = f"{self.registry}/cellgate-filter:{VERSION}"
        self.crane("copy", f"{self.registry}/charts/cellgate:{VERSION}", other)
        done = self.verify()
        self.refused(done, f"{other} is {self.crane('digest', other)}, and digests.json has ")
        # Without digests.json, the chart that is signed still tells.
        (self.dist / "digests.json").unlink()
        self.refused(self.verify(), "The chart's filter.module.sha256 is ")
        # And it is not published over.
        self.refused(self.publish(UNSIGNED=1), f"{other} exists and is ")

    def test_a_missing_signature(self):
        self.assertIn("nothing is signed", self.published(UNSIGNED=1))
        done = self.verify()
        self.refused(done, "has no signature that counts")
        self.assertEqual(done.stderr.count("has no signature that counts"), 5, done.stderr)

    def test_a_signature_of_another_key(self):
        self.signed()
        with tempfile.TemporaryDirectory() as other:
            release().generate_keys(other)
            self.refused(self.verify(COSIGN_PUBKEY=f"{other}/cosign.pub"), "has no signature that counts")

    def test_nobody_whose_signature_counts(self):
        self.refused(self.verify(COSIGN_PUBKEY=""), "It is not said whose signature counts")

    def test_a_missing_sbom(self):
        self.signed()
        digest = self.crane("digest", f"{self.registry}/cellgate:{VERSION}")
        tag = f"{self.registry}/cellgate:{digest.replace(':', '-')}.sbom"
        self.crane("delete", f"{self.registry}/cellgate@{self.crane('digest', tag)}")
        self.refused(self.verify(), f"has no SBOM: {tag} does not exist")

    def test_the_sbom_of_something_else(self):
        self.signed()
        tags = []
        for name in NAMES[:2]:
            digest = self.crane("digest", f"{self.registry}/{name}:{VERSION}")
            tags.append(f"{self.registry}/{name}:{digest.replace(':', '-')}.sbom")
        self.crane("copy", tags[1], tags[0])
        self.refused(self.verify(), f"{tags[0]} is an SBOM of something else")

    def test_a_version_that_is_not_there(self):
        self.refused(self.verify(), f"{self.registry}/cellgate:{VERSION} does not exist")

    def test_a_downloaded_file_that_was_changed(self):
        self.signed()
        file = self.dist / f"cellgate-{VERSION}.tgz"
        file.write_bytes(file.read_bytes() + b"\0")
        self.refused(self.verify(), f"target/dist/{file.name} is not the file that SHA256SUMS names")
        self.sum_anew()
        self.refused(self.verify(), "SHA256SUMS has no signature that counts")


class NotPublished(Published):
    """What `make publish` refuses."""

    def test_a_taken_tag_stops_a_publication_before_anything_is_pushed(self):
        # Of the three it is the last one to be pushed.
        self.crane("push", self.dist / "oci" / "cellgate-filter", f"{self.registry}/charts/cellgate:{VERSION}")
        self.refused(self.publish(UNSIGNED=1), "a published version is never replaced")
        done = subprocess.run([self.crane.path, "digest", f"{self.registry}/cellgate:{VERSION}"], capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse((self.dist / "digests.json").exists())

    def test_a_changed_file(self):
        (self.dist / f"cellgate-filter-{VERSION}.wasm").write_bytes(b"\0asm other")
        self.refused(self.publish(UNSIGNED=1), f"cellgate-filter-{VERSION}.wasm is not the file that SHA256SUMS names")

    def test_a_file_too_many_and_one_too_few(self):
        (self.dist / "notes.txt").write_text("mine")
        (self.dist / f"cellgate-{VERSION}.tgz").unlink()
        done = self.publish(UNSIGNED=1)
        self.refused(done, "target/dist/notes.txt is there, and SHA256SUMS does not name it")
        self.refused(done, f"target/dist/cellgate-{VERSION}.tgz is missing")

    def test_an_sbom_without_a_crate(self):
        path = self.dist / f"cellgate-{VERSION}.cdx.json"
        found = json.loads(path.read_text())
        (tokio,) = [part for part in found["components"] if part["name"] == "tokio"]
        found["components"].remove(tokio)
        path.write_text(json.dumps(found))
        self.sum_anew()
        done = self.publish(UNSIGNED=1)
        self.refused(done, f"{path.name} lacks tokio {tokio['version']}, which is compiled into cellgate")
        self.refused(done, "is not the SBOM that would be attached")

    def test_no_tag_at_head(self):
        self.here.commit("fix: later")
        done = self.publish(UNSIGNED=1)
        self.refused(done, f"HEAD has no tag v{VERSION}")
        self.refused(done, "run `make dist`")

    def test_a_dirty_tree(self):
        (self.here.root / "notes.txt").write_text("mine")
        self.refused(self.publish(UNSIGNED=1), "changes that are not committed (notes.txt")

    def test_nothing_built(self):
        shutil.rmtree(self.dist)
        self.dist.mkdir()
        self.refused(self.publish(UNSIGNED=1), "nothing is built: run `make dist`")

    def test_without_cosign_it_stops(self):
        self.refused(self.publish(COSIGN="/nowhere/cosign"), "COSIGN names /nowhere/cosign, which is not a program")


if __name__ == "__main__":
    unittest.main()
