"""The objects that Argo CD would install from istio/gitops."""

import json
import re
import unittest

import chart
import matrix

GITOPS = chart.ROOT / "istio" / "gitops"
SOURCES = {"$values/": chart.ROOT, "": chart.CHART}
# What a promotion would put in the place of the placeholders.
PLACEHOLDER, DIGEST = "0" * 64, "5e" * 32


def read(path):
    (document,) = chart.load((GITOPS / path).read_text().replace(PLACEHOLDER, DIGEST))
    return document


def lookup(parameters, name):
    for key in name.strip(" .").split("."):
        parameters = parameters[key]
    return parameters


def applications():
    """The ApplicationSet's Applications, by environment."""
    template = json.dumps(read("apps/environments.yaml")["spec"]["template"])
    found = {}
    for path in GITOPS.glob("environments/*/version.yaml"):
        parameters = {**read(path), "path": {"basename": path.parent.name}}
        text = re.sub(r"\{\{(.*?)\}\}", lambda match: lookup(parameters, match[1]), template)
        found[path.parent.name] = json.loads(text)
    return found


def value_file(name):
    """A file of `valueFiles`: of the source called `values`, or beside the chart."""
    prefix = next(prefix for prefix in SOURCES if name.startswith(prefix))
    return SOURCES[prefix] / name.removeprefix(prefix)


def objects(application):
    helm = application["spec"]["sources"][0]["helm"]
    return applied(chart.render(helm["valuesObject"], base={}, files=map(value_file, helm["valueFiles"])))


def applied(rendered):
    """Argo CD ignores test hooks, and runs Helm's install hooks before a sync."""
    return chart.Objects(item for item in rendered if hook(item) != "test")


def hook(item):
    return item["metadata"].get("annotations", {}).get("helm.sh/hook")


class Applications(unittest.TestCase):
    def test_each_environment_has_one(self):
        self.assertEqual(sorted(applications()), sorted(matrix.ENVIRONMENTS))
        names = [found["metadata"]["name"] for found in applications().values()]
        self.assertEqual(sorted(names), sorted(f"cellgate-{name}" for name in matrix.ENVIRONMENTS))

    def test_the_version_comes_from_the_file(self):
        for name, application in applications().items():
            version = read(f"environments/{name}/version.yaml")
            with self.subTest(name):
                source = application["spec"]["sources"][0]
                self.assertEqual(source["targetRevision"], version["revision"])
                self.assertEqual(chart.ROOT / source["path"], chart.CHART)
                rendered = objects(application)
                image = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
                self.assertTrue(image.endswith(f"@{version['image']['digest']}"), image)
                (wasm,) = chart.typed(rendered.filters[0], "Wasm")
                remote = wasm["config"]["vm_config"]["code"]["remote"]
                self.assertEqual(remote["http_uri"]["uri"], version["module"]["url"])
                self.assertEqual(remote["sha256"], version["module"]["sha256"])

    def test_a_version_with_placeholders_is_refused(self):
        helm = applications()["dev"]["spec"]["sources"][0]["helm"]
        change = {"image": {"digest": f"sha256:{PLACEHOLDER}"}, "filter": {"module": {"sha256": PLACEHOLDER}}}
        with self.assertRaises(chart.Refused) as refused:
            chart.render(chart.merge(helm["valuesObject"], change), base={}, files=map(value_file, helm["valueFiles"]))
        for path in ["image.digest", "filter.module.sha256"]:
            self.assertIn(f"{path}: this placeholder of zeros", str(refused.exception))

    def test_the_environments_own_values_are_used(self):
        hosts = {
            name: objects(application).one("VirtualService")["spec"]["hosts"]
            for name, application in applications().items()
        }
        self.assertEqual(hosts["dev"], ["api.dev.example.com"])
        self.assertEqual(hosts["prod"], ["api.example.com"])
        self.assertTrue(objects(applications()["prod"]).of("HorizontalPodAutoscaler", "ScaledObject"))

    def test_the_project_allows_what_is_installed(self):
        project = read("apps/project.yaml")["spec"]
        kinds = {(item["group"], item["kind"]) for item in project["namespaceResourceWhitelist"]}
        of_cluster = {(item["group"], item["kind"]) for item in project["clusterResourceWhitelist"]}
        namespaces = {item["namespace"] for item in project["destinations"]}
        for name, application in applications().items():
            self.assertEqual(application["spec"]["project"], "cellgate")
            for item in objects(application):
                # The tests' release namespace stands for the namespace of Argo CD's destination.
                destination = application["spec"]["destination"]["namespace"]
                kind = (item["apiVersion"].rpartition("/")[0], item["kind"])
                namespace = item["metadata"].get("namespace", "").replace(chart.NAMESPACE, destination)
                with self.subTest(name, item=chart.label(item)):
                    if not namespace:
                        self.assertIn(kind, of_cluster)
                        continue
                    self.assertIn(kind, kinds)
                    self.assertIn(namespace, namespaces)

    def test_the_project_knows_every_kind_of_the_chart(self):
        project = read("apps/project.yaml")["spec"]
        listed = project["namespaceResourceWhitelist"] + project["clusterResourceWhitelist"]
        # Argo CD creates the namespace, not the chart.
        kinds = {(item["group"], item["kind"]) for item in listed} - {("", "Namespace")}
        made = {
            (item["apiVersion"].rpartition("/")[0], item["kind"])
            for _, found in matrix.renderings()
            for item in applied(found)
        }
        self.assertEqual(kinds, made)

    def test_all_of_it_comes_from_one_repository(self):
        addresses = {
            *chart.settings(read("root.yaml"), "repoURL"),
            *chart.settings(read("apps/environments.yaml"), "repoURL"),
            *read("apps/project.yaml")["spec"]["sourceRepos"],
        }
        self.assertEqual(len(addresses), 1, addresses)

    def test_the_folder_of_the_root_exists(self):
        self.assertTrue(list((chart.ROOT / read("root.yaml")["spec"]["source"]["path"]).glob("*.yaml")))

    def test_the_generator_finds_the_versions(self):
        (generator,) = read("apps/environments.yaml")["spec"]["generators"]
        (files,) = generator["git"]["files"]
        self.assertEqual(len(list(chart.ROOT.glob(files["path"]))), len(matrix.ENVIRONMENTS))


if __name__ == "__main__":
    unittest.main()
