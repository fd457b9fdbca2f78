"""What is built and published is HEAD, for the architecture that it is said to be for, and nothing of the checkout alone."""

import json
import pathlib
import shutil
import tarfile
import unittest

import image_test
from publication import COSIGN, VERSION, Published

HERE = image_test.ARCHITECTURE
OTHER = {"amd64": "arm64", "arm64": "amd64"}.get(HERE, "arm64")


class Built(Published):
    """What `make dist` takes. What it refuses leaves the files of before."""

    def dist_refused(self, sentence, **variables):
        done = self.here.make("dist", **{**self.how, **variables})
        self.refused(done, sentence)
        self.assertEqual((self.dist / "SHA256SUMS").read_text(), (self.built / "SHA256SUMS").read_text())

    def changed(self, file, old, new):
        """A copy of a file with other bytes of the same length."""
        self.assertEqual(len(old), len(new))
        content = file.read_bytes()
        self.assertIn(old, content)
        copy = pathlib.Path(self.here.root) / "target" / f"changed-{file.name}"
        copy.write_bytes(content.replace(old, new))
        copy.chmod(0o755)
        return copy

    def test_a_program_of_another_architecture(self):
        self.dist_refused(f"The program for {OTHER} is for {HERE}, not for {OTHER}", BINARIES=f"{OTHER}={self.program}")

    def test_a_program_that_needs_libraries(self):
        self.dist_refused(f"The program for {HERE} is not linked statically", BINARIES=f"{HERE}=/bin/true")

    def test_files_that_are_nothing_of_the_kind(self):
        self.dist_refused(f"The program for {HERE} is no 64-bit ELF program", BINARIES=f"{HERE}=/etc/hostname")
        self.dist_refused("The module is no WebAssembly module", MODULE="/etc/hostname")
        self.dist_refused("MODULE names /nowhere, which is not a file", MODULE="/nowhere")
        self.dist_refused("BINARIES has mips=/bin/true, which is not ARCHITECTURE=FILE", BINARIES="mips=/bin/true")

    def test_a_program_that_is_cut_off(self):
        cut = self.changed(self.program, b"\x7fELF", b"\x7fELF")
        cut.write_bytes(cut.read_bytes()[:100])
        self.dist_refused("is cut off", BINARIES=f"{HERE}={cut}")

    def test_a_program_and_a_module_of_another_commit(self):
        old, new = self.head[:12].encode(), b"0123456789ab"
        program, module = self.changed(self.program, old, new), self.changed(self.module, old, new)
        self.dist_refused(f"The program for {HERE} is not built from HEAD", BINARIES=f"{HERE}={program}")
        self.dist_refused("The module is not built from HEAD", MODULE=module)

    def test_a_program_of_changed_sources(self):
        program = self.changed(self.program, b"\x7fELF", b"\x7fELF")
        program.write_bytes(program.read_bytes() + f"{self.head[:12]}-dirty".encode())
        self.dist_refused("is built from changed sources", BINARIES=f"{HERE}={program}")

    def test_a_program_of_another_version(self):
        other = VERSION.replace(VERSION[0], "9", 1).encode()
        # What it prints, and no other place where the version is.
        program = self.changed(self.program, VERSION.encode(), other)
        program.write_bytes(program.read_bytes() + VERSION.encode())
        self.dist_refused("says that it is 'cellgate 9", BINARIES=f"{HERE}={program}")

    def test_a_file_that_only_this_checkout_hides(self):
        (self.here.root / "charts" / "cellgate" / "templates" / "mine.yaml").write_text("kind: Mine\n")
        for hide in (self.excluded, self.not_shown):
            with self.subTest(hide.__name__):
                hide()
                self.assertEqual(self.here.git("status", "--porcelain"), "")
                self.dist_refused("charts/cellgate/templates/mine.yaml): a release is built from a commit")
                self.refused(self.publish(UNSIGNED=1), "changes that are not committed (charts/cellgate/templates/mine.yaml")

    def excluded(self):
        exclude = self.here.root / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text("mine.yaml\n")
        # `git clean` in the base's clean-up keeps what is excluded.
        self.addCleanup(exclude.write_text, "")

    def not_shown(self):
        (self.here.root / ".git" / "info" / "exclude").write_text("")
        self.here.git("config", "status.showUntrackedFiles", "no")
        self.addCleanup(self.here.git, "config", "--unset", "status.showUntrackedFiles")

    def test_a_change_that_git_was_told_to_overlook(self):
        self.here.git("update-index", "--assume-unchanged", "README.md")
        self.addCleanup(self.here.git, "update-index", "--no-assume-unchanged", "README.md")
        self.here.edit("README.md", "Cellgate", "Cellgate!")
        self.dist_refused("(README.md): a release is built from a commit")

    def test_a_name_for_the_build_hides_nothing(self):
        self.here.edit("README.md", "Cellgate", "Cellgate!")
        done = self.here.run("make", "dist", *(f"{key}={value}" for key, value in self.how.items()), CELLGATE_BUILD=self.head[:12])
        self.refused(done, "(README.md): a release is built from a commit")
        self.here.git("checkout", "--quiet", "README.md")
        # Nor does another one name it.
        done = self.here.run("make", "dist", *(f"{key}={value}" for key, value in self.how.items()), CELLGATE_BUILD="0123456789ab")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.dist / "SHA256SUMS").read_text(), (self.built / "SHA256SUMS").read_text())

    def test_the_chart_has_the_files_of_the_commit(self):
        with tarfile.open(self.dist / f"cellgate-{VERSION}.tgz") as archive:
            packed = {name.removeprefix("cellgate/") for name in archive.getnames()}
        listed = self.here.git("ls-tree", "-r", "--name-only", "HEAD", "charts/cellgate").split()
        self.assertLessEqual(packed, {name.removeprefix("charts/cellgate/") for name in listed})
        self.assertIn("Chart.yaml", packed)


class Fit(Published):
    """From where `make publish` publishes."""

    def unfit(self, sentence, **variables):
        self.refused(self.publish(UNSIGNED=1, **variables), sentence)

    def test_a_tag_elsewhere(self):
        self.here.git("tag", "--force", "--annotate", f"v{VERSION}", "HEAD~1", "--message", "moved")
        self.unfit(f"HEAD has no tag v{VERSION}")

    def test_a_tag_that_is_not_annotated(self):
        self.here.git("update-ref", f"refs/tags/v{VERSION}", "HEAD")
        self.unfit(f"The tag v{VERSION} is not annotated")

    def test_a_workflow_of_another_ref(self):
        for name in ["main", "v0.0.1", f"{VERSION}"]:
            with self.subTest(name):
                done = self.here.run("make", "publish", f"REGISTRY={self.registry}", "INSECURE=1", "UNSIGNED=1", GITHUB_REF_NAME=name)
                self.refused(done, f"The workflow was started by {name}, and HEAD is the version {VERSION}")

    def test_a_changelog_without_the_release(self):
        self.here.git("reset", "--quiet", "--hard", "HEAD~1")
        self.here.commit("chore: a release by hand")
        self.here.git("tag", "--force", "--annotate", f"v{VERSION}", "--message", "by hand")
        self.unfit(f"CHANGELOG.md has no section `## {VERSION} - DATE`")

    def test_a_commit_that_is_on_no_release_branch(self):
        self.here.git("switch", "--quiet", "--detach")
        self.here.git("branch", "--quiet", "--force", "main", "HEAD~1")
        self.addCleanup(self.here.git, "branch", "--quiet", "--force", "main", self.head)
        self.addCleanup(self.here.git, "switch", "--quiet", "--detach", self.head)
        self.unfit("HEAD is not on the branch main or release-")
        self.unfit("HEAD is not on the branch mine,", BRANCH="mine")
        # A remote's counts, and so does a later commit on it.
        later = self.here.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "merge: the release")
        self.here.git("update-ref", "refs/remotes/origin/main", later)
        self.addCleanup(self.here.git, "update-ref", "-d", "refs/remotes/origin/main")
        self.published(UNSIGNED=1)

    def test_files_of_another_commit(self):
        (self.dist / "REVISION").write_text("0" * 40 + "\n")
        self.sum_anew()
        self.unfit(f"target/dist is built from 000000000000, and HEAD is {self.head[:12]}")

    def test_a_program_that_was_put_into_the_image_later(self):
        layout = self.dist / "oci" / "cellgate"
        index = json.loads((layout / "index.json").read_text())
        index["manifests"][0]["platform"]["architecture"] = OTHER
        (layout / "index.json").write_text(json.dumps(index))
        self.sum_anew()
        self.unfit(f"target/dist has a program for {OTHER} that is for {HERE}")

    def test_files_that_are_not_those_of_a_release(self):
        """A sentence for each, and no traceback."""
        shutil.rmtree(self.dist)
        self.dist.mkdir()
        self.sum_anew()
        self.unfit("target/dist does not say which commit it is built from")
        (self.dist / "REVISION").write_text(f"{self.head}\n")
        self.sum_anew()
        self.unfit("target/dist/oci/cellgate/index.json cannot be read")
        (self.dist / "SHA256SUMS").write_text("nonsense\n")
        self.unfit("SHA256SUMS:1 is not a sum and a file's name")

    def test_a_release_without_its_chart(self):
        (self.dist / f"cellgate-{VERSION}.tgz").unlink()
        self.sum_anew()
        self.unfit(f"cellgate-{VERSION}.tgz is no chart")

    def test_no_is_no(self):
        for word in ["0", "false", "no", ""]:
            with self.subTest(word):
                done = self.publish(UNSIGNED=word, COSIGN="/nowhere/cosign")
                self.refused(done, "COSIGN names /nowhere/cosign")


@unittest.skipUnless(COSIGN, "cosign is not here: `make test-release` builds it")
class Retagged(Published):
    """An old release under a new version, with all its signatures."""

    def test_a_version_that_is_another_one(self):
        self.signed()
        for name in ["cellgate", "cellgate-filter", "charts/cellgate"]:
            self.crane("tag", f"{self.registry}/{name}:{VERSION}", "99.0.0")
        shutil.rmtree(self.dist)
        self.assertEqual(self.verify().returncode, 0)
        done = self.verify(VERSION="99.0.0")
        for name in ["cellgate", "cellgate-filter", "charts/cellgate"]:
            self.refused(done, f"{self.registry}/{name}:99.0.0 is {VERSION} by its own manifest")
        self.refused(done, f"The chart is {VERSION} by its own Chart.yaml, not 99.0.0")

    def test_digests_that_are_none(self):
        self.signed()
        file = pathlib.Path(self.here.root) / "target" / "digests"
        good = json.loads((self.dist / "digests.json").read_text())
        wrong = {
            "{": "is not JSON",
            "[]": "has no cellgate as REFERENCE:VERSION@sha256:DIGEST",
            json.dumps({**good, "cellgate": "latest"}): "has no cellgate as",
            json.dumps({name: reference.replace(f":{VERSION}@", ":99.0.0@") for name, reference in good.items()}): "is of 99.0.0, not of",
        }
        for text, sentence in wrong.items():
            with self.subTest(sentence):
                file.write_text(text)
                self.refused(self.verify(DIGESTS=file), sentence)

    def test_a_list_of_sums_of_another_version(self):
        self.signed()
        (self.dist / "digests.json").unlink()
        self.refused(self.verify(VERSION="99.0.0"), "SHA256SUMS in target/dist does not name cellgate-99.0.0.tgz")


if __name__ == "__main__":
    unittest.main()
