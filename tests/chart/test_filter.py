"""The EnvoyFilters: the settings of each proxy."""

import json
import unittest

import chart
import matrix

HOST = f"{chart.RELEASE}-ext-proc.{chart.NAMESPACE}.svc.cluster.local"
CONTEXTS = {
    "ingress": "GATEWAY",
    "orders": "SIDECAR_INBOUND",
    "clients": "SIDECAR_OUTBOUND",
}


def attached(change=None):
    """The EnvoyFilter that puts the filter into the gateway."""
    (found,) = chart.render(change).filters
    return found


def limited(change=None):
    """The EnvoyFilter with the settings of the gateway's whole listeners."""
    (found,) = chart.render(change).limits
    return found


def everywhere():
    return dict(matrix.renderings())["every type of attachment"].filters


def limits_everywhere():
    return dict(matrix.renderings())["every type of attachment"].limits


class Scope(unittest.TestCase):
    def test_an_envoy_filter_always_names_its_proxies(self):
        for name, objects in matrix.renderings():
            for item in [*objects.filters, *objects.limits]:
                with self.subTest(name, item=chart.label(item)):
                    labels = item["spec"].get("workloadSelector", {}).get("labels")
                    self.assertTrue(labels or item["spec"].get("targetRefs"), "this one is for every proxy")

    def test_no_envoy_filter_is_in_the_root_namespace(self):
        for name, objects in matrix.renderings():
            for item in objects.of("EnvoyFilter"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotIn(item["metadata"]["namespace"], ["istio-system", "istio-control"])

    def test_the_selector_is_that_of_the_attachment(self):
        for item in [*everywhere(), *limits_everywhere()]:
            attach = [*chart.VALUES["filter"]["attach"], chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]
            (entry,) = [entry for entry in attach if entry["namespace"] == item["metadata"]["namespace"]]
            with self.subTest(chart.label(item)):
                if "selector" in entry:
                    self.assertEqual(item["spec"]["workloadSelector"]["labels"], entry["selector"])
                else:
                    self.assertEqual(item["spec"]["targetRefs"], entry["targetRefs"])
                self.assertIn(entry["name"], item["metadata"]["name"])

    def test_each_kind_of_proxy_has_its_context(self):
        for item in everywhere():
            patches = item["spec"]["configPatches"]
            found = {patch.get("match", {}).get("context") for patch in patches if patch["applyTo"] == "HTTP_FILTER"}
            (expected,) = [context for name, context in CONTEXTS.items() if name in item["metadata"]["name"]] or [None]
            with self.subTest(chart.label(item)):
                if expected:
                    self.assertEqual(found, {expected})
                else:
                    self.assertIn("waypoint", item["metadata"]["name"])

    def test_it_can_be_limited_to_some_ports(self):
        """Each port has its own patches, and no listener patch applies to all ports."""
        entry = {**chart.VALUES["filter"]["attach"][0], "ports": [8080, 8443]}
        change = {"filter": {"attach": [entry]}}
        patches = attached(change)["spec"]["configPatches"] + limited(change)["spec"]["configPatches"]
        for kind in ["HTTP_FILTER", "NETWORK_FILTER", "LISTENER"]:
            listeners = [patch["match"].get("listener", {}) for patch in patches if patch["applyTo"] == kind]
            with self.subTest(kind):
                self.assertEqual({listener.get("portNumber") for listener in listeners}, {8080, 8443})

    def test_the_priority_is_configurable(self):
        self.assertEqual({item["spec"]["priority"] for item in everywhere()}, {10})
        self.assertEqual(attached({"filter": {"priority": -5}})["spec"]["priority"], -5)

    def test_switched_off_there_is_no_envoy_filter(self):
        self.assertEqual(dict(matrix.renderings())["no filter"].of("EnvoyFilter").installed, [])


class Wasm(unittest.TestCase):
    def test_the_filter_may_pause_and_restarts_after_a_crash(self):
        for item in everywhere():
            (wasm,) = chart.typed(item, "Wasm")
            with self.subTest(chart.label(item)):
                self.assertIs(wasm["config"]["allow_on_headers_stop_iteration"], True)
                self.assertEqual(wasm["config"]["failure_policy"], "FAIL_RELOAD")
                self.assertRegex(wasm["config"]["reload_config"]["backoff"]["base_interval"], r"^0\.0[0-9]+s$")

    def test_its_configuration_comes_through_ecds(self):
        patches = attached()["spec"]["configPatches"]
        (added,) = [patch for patch in patches if patch["applyTo"] == "EXTENSION_CONFIG"]
        self.assertEqual(added["patch"]["operation"], "ADD")
        name = added["patch"]["value"]["name"]
        (discovered,) = [patch for patch in patches if "config_discovery" in patch["patch"]["value"]]
        self.assertEqual(discovered["patch"]["value"]["name"], name)
        self.assertEqual(discovered["patch"]["operation"], "INSERT_FIRST")
        (types,) = chart.settings(discovered, "type_urls")
        self.assertIn("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", types)

    def test_it_comes_before_the_services_filter(self):
        """Patches apply in order, and each inserts its filter before the others."""
        for item in everywhere():
            inserted = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_FILTER"]
            with self.subTest(chart.label(item)):
                self.assertEqual(len(inserted), 1 if item["metadata"]["namespace"] == "cell-a" else 2)
                operations = {patch["patch"]["operation"] for patch in inserted}
                if "SIDECAR_INBOUND" in str(inserted) and "main_internal" not in str(inserted):
                    # In a workload's sidecar authorization comes first: it checks the sender of the header.
                    self.assertEqual(operations, {"INSERT_BEFORE"})
                    self.assertIn("envoy.filters.http.router", str(inserted[0]["match"]))
                    inserted.reverse()
                else:
                    self.assertEqual(operations, {"INSERT_FIRST"})
                self.assertIn("config_discovery", inserted[-1]["patch"]["value"])
                for patch in inserted[:-1]:
                    self.assertTrue(chart.typed(patch, "ExtensionWithMatcher"))

    def test_behind_authentication_it_stands_before_the_filters_of_the_route(self):
        """Patches apply in order, and each inserts its filter directly before the fault filter."""
        for item in dict(matrix.renderings())["claims"].filters:
            inserted = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_FILTER"]
            anchor = "envoy.filters.http.router" if item["metadata"]["namespace"] == "cell-a" else "envoy.filters.http.fault"
            with self.subTest(chart.label(item)):
                for patch in inserted:
                    self.assertEqual(patch["patch"]["operation"], "INSERT_BEFORE")
                    found = patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]
                    self.assertEqual(found, anchor)
                self.assertIn("config_discovery", inserted[0]["patch"]["value"])
                for patch in inserted[1:]:
                    self.assertTrue(chart.typed(patch, "ExtensionWithMatcher"))

    def test_the_service_receives_claims_only_if_the_key_may_be_one(self):
        for name, forwarded in [("claims", ["envoy.filters.http.jwt_authn"]), ("behind authentication", None)]:
            for item in dict(matrix.renderings())[name].filters:
                for processor in chart.typed(item, "ExternalProcessor"):
                    with self.subTest(name, item=chart.label(item)):
                        namespaces = processor["metadata_options"].get("forwarding_namespaces", {}).get("untyped")
                        self.assertEqual(namespaces, forwarded)

    def test_a_module_that_is_fetched_is_pinned(self):
        (wasm,) = chart.typed(attached(), "Wasm")
        code = wasm["config"]["vm_config"]["code"]
        self.assertEqual(code["remote"]["http_uri"]["uri"], chart.VALUES["filter"]["module"]["url"])
        self.assertEqual(code["remote"]["sha256"], chart.VALUES["filter"]["module"]["sha256"])
        self.assertNotIn("local", code)

    def test_a_module_can_be_a_file(self):
        (wasm,) = chart.typed(attached(matrix.CHANGES["local module"]), "Wasm")
        self.assertEqual(wasm["config"]["vm_config"]["code"], {"local": {"filename": "/etc/cellgate/cellgate.wasm"}})


class Limits(unittest.TestCase):
    def limits(self, change):
        item = limited(change)
        (connection,) = set(chart.settings(item, "per_connection_buffer_limit_bytes"))
        (stream,) = set(chart.settings(item, "initial_stream_window_size"))
        return connection, stream

    def test_envoys_buffer_limit_equals_the_inspection_limit(self):
        for size, count in [("64KiB", 65536), ("1MiB", 1048576), (100000, 100000), ("131072", 131072)]:
            with self.subTest(size):
                connection, stream = self.limits({"config": {"limits": {"inspect_bytes": size}}})
                self.assertEqual(connection, count)
                # RFC 9113: a window below 65,535 only applies after the peer's acknowledgement.
                self.assertEqual(stream, max(count, 65535))

    def test_without_a_configured_limit_cellgates_default_is_used(self):
        connection, _ = self.limits({"config": {"limits": None}})
        self.assertEqual(connection, 65536)

    def test_the_buffer_limit_can_be_larger(self):
        self.assertEqual(self.limits({"filter": {"bufferBytes": "1MiB"}}), (1048576, 1048576))

    def test_a_small_limit_does_not_become_a_small_window(self):
        """Envoy refuses stream windows below 65,535 bytes."""
        connection, stream = self.limits({"config": {"limits": {"inspect_bytes": "16KiB"}}})
        self.assertGreaterEqual(connection, 16384)
        self.assertGreaterEqual(stream, 65535)

    def test_timeouts_are_set_on_the_listener(self):
        change = {"filter": {"streamIdleTimeout": "7s", "requestTimeout": "9s"}}
        managers = chart.typed(limited(change), "HttpConnectionManager")
        self.assertEqual(chart.settings(managers, "stream_idle_timeout"), ["7s"])
        self.assertEqual(chart.settings(managers, "request_timeout"), ["9s"])

    def test_settings_that_are_not_configured_are_not_patched(self):
        """These settings are for everything that a proxy serves, not for Cellgate's hosts alone."""
        managers = chart.typed(limited(), "HttpConnectionManager")
        for setting in ["stream_idle_timeout", "request_timeout", "common_http_protocol_options"]:
            with self.subTest(setting):
                self.assertEqual([found for found in chart.settings(managers, setting) if found], [])

    def test_header_names_with_underscores_are_refused_where_it_is_asked_for(self):
        found = chart.settings(limited({"filter": {"refuseUnderscores": True}}), "headers_with_underscores_action")
        self.assertEqual(found, ["REJECT_REQUEST"])

    def test_other_envoy_filters_override_the_limits(self):
        """istiod applies the EnvoyFilter with the lowest priority first; the default is 0."""
        for item in limits_everywhere():
            with self.subTest(chart.label(item)):
                self.assertEqual(item["spec"]["priority"], -1000)
        self.assertEqual(limited({"filter": {"priority": -5}})["spec"]["priority"], -1000)

    def test_no_other_patch_changes_a_whole_listener(self):
        """Except the removal of the deferral header, which no other application uses."""
        for name, objects in matrix.renderings():
            for item in objects.of("EnvoyFilter"):
                if item not in objects.limits:
                    kinds = {patch["applyTo"] for patch in item["spec"]["configPatches"]}
                    with self.subTest(name, item=chart.label(item)):
                        self.assertFalse(kinds & {"LISTENER", "NETWORK_FILTER", "FILTER_CHAIN", "VIRTUAL_HOST"})

    def test_each_attachment_has_its_own_limits(self):
        self.assertEqual([f"{item['metadata']['name']}-limits" for item in everywhere()], [item["metadata"]["name"] for item in limits_everywhere()])


class Shadow(unittest.TestCase):
    SHADOW = matrix.CHANGES["shadow"]

    def test_only_the_filter_is_in_shadow_mode(self):
        config = json.loads(chart.filter_config(attached(self.SHADOW)))
        live = json.loads(chart.filter_config(attached({"routes": {"enabled": False}})))
        self.assertEqual(config, {**live, "shadow": True})

    def test_nothing_but_the_filter_is_installed(self):
        self.assertEqual([item["kind"] for item in chart.render(self.SHADOW).installed], ["EnvoyFilter"])
        patches = attached(self.SHADOW)["spec"]["configPatches"]
        self.assertEqual([patch["applyTo"] for patch in patches], ["EXTENSION_CONFIG", "HTTP_FILTER"])
        self.assertEqual(chart.render(self.SHADOW).limits, [])

    def test_without_shadow_mode_no_configuration_has_it(self):
        for item in everywhere():
            self.assertNotIn("shadow", chart.filter_config(item))


class Service(unittest.TestCase):
    def test_it_receives_only_deferred_requests(self):
        (matched,) = chart.typed(attached(), "ExtensionWithMatcher")
        header = {found["header_name"] for found in chart.typed(matched, "HttpRequestHeaderMatchInput")}
        self.assertEqual(header, {"x-cellgate-defer"})
        self.assertEqual(set(chart.settings(matched, "prefix")), {"buffer;", "stream;", "headers;"})

    def test_each_deferral_has_its_body_mode(self):
        (matched,) = chart.typed(attached(), "ExtensionWithMatcher")
        modes = {}
        for rule in matched["xds_matcher"]["matcher_list"]["matchers"]:
            (prefix,) = chart.settings(rule["predicate"], "prefix")
            (processor,) = chart.typed(rule, "ExternalProcessor")
            modes[prefix] = processor["processing_mode"]
        bodies = {prefix: mode["request_body_mode"] for prefix, mode in modes.items()}
        self.assertEqual(bodies, {"buffer;": "BUFFERED", "stream;": "FULL_DUPLEX_STREAMED", "headers;": "NONE"})
        for prefix, mode in modes.items():
            with self.subTest(prefix):
                self.assertEqual(mode["response_header_mode"], "SKIP")
                self.assertEqual(mode["request_header_mode"], "SEND")
        self.assertEqual(modes["stream;"]["request_trailer_mode"], "SEND")
        self.assertEqual(modes["buffer;"]["request_trailer_mode"], "SEND")

    def test_the_body_mode_can_be_buffer(self):
        (matched,) = chart.typed(attached({"extProc": {"bodyMode": "buffer", "messageTimeout": "33s"}}), "ExtensionWithMatcher")
        processors = {item["name"]: item["typed_config"] for item in chart.walk(matched) if item.get("name", "").startswith("cellgate-")}
        for mode in ["buffer", "stream"]:
            processor = processors[f"cellgate-{mode}"]
            with self.subTest(mode):
                self.assertEqual(processor["processing_mode"]["request_body_mode"], "BUFFERED")
                self.assertEqual(processor["message_timeout"], "33s")

    def test_its_authority_is_valid_in_http2(self):
        for item in everywhere():
            for processor in chart.typed(item, "ExternalProcessor"):
                with self.subTest(chart.label(item)):
                    call = processor["grpc_service"]["envoy_grpc"]
                    self.assertEqual(call["cluster_name"], f"outbound|50051||{HOST}")
                    self.assertEqual(call["authority"], HOST)

    def test_its_call_has_the_id_by_which_proxies_know_a_traced_request(self):
        for item in everywhere():
            for processor in chart.typed(item, "ExternalProcessor"):
                with self.subTest(chart.label(item)):
                    fields = processor["grpc_service"]["initial_metadata"]
                    self.assertEqual(fields, [{"key": "x-request-id", "value": "%STREAM_ID%"}])

    def test_its_counters_are_its_own(self):
        """Without a prefix, those of another team's ext_proc filter would be added to them."""
        for item in everywhere():
            for processor in chart.typed(item, "ExternalProcessor"):
                with self.subTest(chart.label(item)):
                    self.assertEqual(processor["stat_prefix"], "cellgate")

    def test_its_cluster_exists_although_no_route_names_it(self):
        """An annotation adds it to waypoints, and to gateways that only get the clusters of their routes."""
        for item in everywhere():
            with self.subTest(chart.label(item)):
                referenced = item["metadata"]["annotations"].get("envoyfilter.istio.io/referenced-services")
                asks = bool(chart.typed(item, "ExternalProcessor"))
                self.assertEqual(referenced, f"{chart.NAMESPACE}/{HOST}" if asks else None)

    def test_no_cell_receives_the_deferral_header(self):
        """Including those of other routes."""
        for item in everywhere():
            (patch,) = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "ROUTE_CONFIGURATION"]
            with self.subTest(chart.label(item)):
                self.assertEqual(patch["patch"]["value"], {"request_headers_to_remove": ["x-cellgate-defer"]})

    def test_it_never_fails_open(self):
        for item in everywhere():
            with self.subTest(chart.label(item)):
                self.assertNotIn(True, chart.settings(item, "failure_mode_allow"))

    def test_it_answers_before_envoy_gives_up(self):
        """In every mode: FULL_DUPLEX_STREAMED too has a timeout for responses, of 200 ms by default."""
        processors = chart.typed(attached({"extProc": {"messageTimeout": "33s"}}), "ExternalProcessor")
        modes = [processor["processing_mode"]["request_body_mode"] for processor in processors]
        self.assertEqual(modes, ["BUFFERED", "FULL_DUPLEX_STREAMED", "NONE"])
        for mode, processor in zip(modes, processors):
            with self.subTest(mode):
                self.assertEqual(processor["message_timeout"], "33s")

    def test_its_reason_reaches_the_access_log(self):
        for processor in chart.typed(attached(), "ExternalProcessor"):
            receiving = processor["metadata_options"]["receiving_namespaces"]["untyped"]
            self.assertEqual(receiving, ["cellgate"])

    def test_a_frozen_service_is_noticed(self):
        clusters = [patch for patch in attached()["spec"]["configPatches"] if patch["applyTo"] == "CLUSTER"]
        self.assertEqual({patch["match"]["cluster"]["service"] for patch in clusters}, {HOST})
        (keepalive,) = chart.settings(clusters, "connection_keepalive")
        self.assertIn("interval", keepalive)
        self.assertIn("timeout", keepalive)

    def test_the_sidecar_of_a_cell_does_not_call_it(self):
        """The service does not know the cell of the sidecar, and could choose another one."""
        (sidecar,) = [item for item in everywhere() if item["metadata"]["namespace"] == "cell-a"]
        self.assertEqual(chart.typed(sidecar, "ExternalProcessor"), [])
        self.assertNotIn(HOST, str(sidecar))

    def test_switched_off_it_has_no_objects(self):
        # `helm test` needs the account and the configuration without the service too.
        objects = chart.render({"extProc": {"enabled": False}, "test": {"enabled": False}})
        self.assertEqual({item["kind"] for item in objects if HOST.split(".")[0] in item["metadata"]["name"]}, set())
        for item in objects.of("EnvoyFilter"):
            self.assertEqual(chart.typed(item, "ExternalProcessor"), [])
            self.assertNotIn(HOST, str(item))
        self.assertTrue(any(chart.typed(item, "Wasm") for item in objects.of("EnvoyFilter")))


if __name__ == "__main__":
    unittest.main()
