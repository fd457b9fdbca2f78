"""The EnvoyFilters: what is put into which proxy."""

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
    """The EnvoyFilter with the gateway's limits."""
    (found,) = chart.render(change).limits
    return found


def everywhere():
    return dict(matrix.renderings())["everywhere"].filters


class Scope(unittest.TestCase):
    def test_an_envoy_filter_always_names_its_proxies(self):
        for name, objects in matrix.renderings():
            for item in objects.filters:
                with self.subTest(name, item=chart.label(item)):
                    labels = item["spec"].get("workloadSelector", {}).get("labels")
                    self.assertTrue(labels or item["spec"].get("targetRefs"), "this one is for every proxy")

    def test_none_lives_in_the_mesh_s_own_namespace(self):
        for name, objects in matrix.renderings():
            for item in objects.of("EnvoyFilter"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotIn(item["metadata"]["namespace"], ["istio-system", "istio-control"])

    def test_the_selector_is_the_attachment_s(self):
        for item in everywhere():
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

    def test_it_can_be_kept_to_some_ports(self):
        """One set of patches for each port, and no patch of a listener that is for all of them."""
        entry = {**chart.VALUES["filter"]["attach"][0], "ports": [8080, 8443]}
        change = {"filter": {"attach": [entry]}}
        patches = [*attached(change)["spec"]["configPatches"], *limited(change)["spec"]["configPatches"]]
        for kind in ["HTTP_FILTER", "NETWORK_FILTER", "LISTENER"]:
            listeners = [patch["match"].get("listener", {}) for patch in patches if patch["applyTo"] == kind]
            with self.subTest(kind):
                self.assertEqual({listener.get("portNumber") for listener in listeners}, {8080, 8443})

    def test_the_order_among_envoy_filters_is_said(self):
        self.assertEqual({item["spec"]["priority"] for item in everywhere()}, {10})
        self.assertEqual(attached({"filter": {"priority": -5}})["spec"]["priority"], -5)

    def test_switched_off_there_is_none(self):
        self.assertEqual(dict(matrix.renderings())["no filter"].of("EnvoyFilter").installed, [])


class Wasm(unittest.TestCase):
    def test_the_filter_may_pause_and_comes_back_after_a_crash(self):
        for item in everywhere():
            (wasm,) = chart.typed(item, "Wasm")
            with self.subTest(chart.label(item)):
                self.assertIs(wasm["config"]["allow_on_headers_stop_iteration"], True)
                self.assertEqual(wasm["config"]["failure_policy"], "FAIL_RELOAD")
                self.assertRegex(wasm["config"]["reload_config"]["backoff"]["base_interval"], r"^0\.0[0-9]+s$")

    def test_it_is_delivered_apart_from_the_listener(self):
        patches = attached()["spec"]["configPatches"]
        (added,) = [patch for patch in patches if patch["applyTo"] == "EXTENSION_CONFIG"]
        self.assertEqual(added["patch"]["operation"], "ADD")
        name = added["patch"]["value"]["name"]
        (discovered,) = [patch for patch in patches if "config_discovery" in patch["patch"]["value"]]
        self.assertEqual(discovered["patch"]["value"]["name"], name)
        self.assertEqual(discovered["patch"]["operation"], "INSERT_FIRST")
        (types,) = chart.settings(discovered, "type_urls")
        self.assertIn("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", types)

    def test_it_ends_up_before_the_service_s_filter(self):
        """Patches apply in order, and each one that is inserted first pushes the others back."""
        for item in everywhere():
            inserted = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_FILTER"]
            with self.subTest(chart.label(item)):
                self.assertEqual(len(inserted), 1 if item["metadata"]["namespace"] == "cell-a" else 2)
                operations = {patch["patch"]["operation"] for patch in inserted}
                if "SIDECAR_INBOUND" in str(inserted) and "main_internal" not in str(inserted):
                    # In a workload's sidecar authorization comes first: it judges who sent the header.
                    self.assertEqual(operations, {"INSERT_BEFORE"})
                    self.assertIn("envoy.filters.http.router", str(inserted[0]["match"]))
                    inserted.reverse()
                else:
                    self.assertEqual(operations, {"INSERT_FIRST"})
                self.assertIn("config_discovery", inserted[-1]["patch"]["value"])
                for patch in inserted[:-1]:
                    self.assertTrue(chart.typed(patch, "ExtensionWithMatcher"))

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

    def test_envoy_may_buffer_what_the_filter_may_hold(self):
        for size, count in [("64KiB", 65536), ("1MiB", 1048576), (100000, 100000), ("131072", 131072)]:
            with self.subTest(size):
                connection, stream = self.limits({"config": {"limits": {"inspect_bytes": size}}})
                self.assertEqual(connection, count)
                # RFC 9113: a window below 65,535 needs the peer's acknowledgement first.
                self.assertEqual(stream, max(count, 65535))

    def test_the_default_of_cellgate_holds_where_none_is_said(self):
        connection, _ = self.limits({"config": {"limits": None}})
        self.assertEqual(connection, 65536)

    def test_envoy_may_buffer_more(self):
        self.assertEqual(self.limits({"filter": {"bufferBytes": "1MiB"}}), (1048576, 1048576))

    def test_a_small_limit_does_not_become_a_small_window(self):
        """Envoy refuses a stream window below 65,535 bytes."""
        connection, stream = self.limits({"config": {"limits": {"inspect_bytes": "16KiB"}}})
        self.assertGreaterEqual(connection, 16384)
        self.assertGreaterEqual(stream, 65535)

    def test_requests_that_stand_still_end(self):
        change = {"filter": {"streamIdleTimeout": "7s", "requestTimeout": "9s"}}
        managers = chart.typed(limited(change), "HttpConnectionManager")
        self.assertEqual(chart.settings(managers, "stream_idle_timeout"), ["7s"])
        self.assertEqual(chart.settings(managers, "request_timeout"), ["9s"])

    def test_what_is_not_said_stays_as_the_proxies_have_it(self):
        """These settings are for everything that a proxy serves, not for Cellgate's hosts alone."""
        managers = chart.typed(limited(), "HttpConnectionManager")
        self.assertTrue(managers)
        for setting in ["stream_idle_timeout", "request_timeout", "common_http_protocol_options"]:
            with self.subTest(setting):
                self.assertEqual([found for found in chart.settings(managers, setting) if found], [])

    def test_header_names_with_underscores_can_be_refused(self):
        managers = chart.typed(limited({"filter": {"refuseUnderscores": True}}), "HttpConnectionManager")
        self.assertEqual(chart.settings(managers, "headers_with_underscores_action"), ["REJECT_REQUEST"])

    def test_each_attachment_has_its_own_before_everybody_else_s(self):
        """Istio applies EnvoyFilters by priority, 0 where none is said, and the last one counts."""
        for name, objects in matrix.renderings():
            filters = [item for item in objects.filters if "shadow" not in chart.filter_config(item)]
            with self.subTest(name):
                self.assertEqual(len(objects.limits), len(filters))
            for limits, item in zip(objects.limits, filters):
                with self.subTest(name, item=chart.label(limits)):
                    self.assertLess(limits["spec"]["priority"], 0)
                    self.assertLess(limits["spec"]["priority"], item["spec"]["priority"])
                    for field in ["workloadSelector", "targetRefs"]:
                        self.assertEqual(limits["spec"].get(field), item["spec"].get(field))

    def test_the_filter_s_own_patches_set_none(self):
        for item in everywhere():
            kinds = {patch["applyTo"] for patch in item["spec"]["configPatches"]}
            self.assertFalse(kinds & {"LISTENER", "NETWORK_FILTER"}, kinds)

    def test_what_is_one_too_many_may_be_tried_again(self):
        """Deferred requests only: other answers are somebody else's."""
        (manager,) = chart.typed(limited(), "HttpConnectionManager")
        (mapper,) = manager["local_reply_config"]["mappers"]
        status, header = mapper["filter"]["and_filter"]["filters"]
        self.assertEqual(status["status_code_filter"]["comparison"]["value"]["default_value"], 503)
        self.assertEqual(header["header_filter"]["header"], {"name": "x-cellgate-defer", "present_match": True})
        (added,) = mapper["headers_to_add"]
        self.assertEqual(added["header"], {"key": "retry-after", "value": "1"})
        self.assertEqual(added["append_action"], "ADD_IF_ABSENT")


class Shadow(unittest.TestCase):
    SHADOW = matrix.CHANGES["shadow"]

    def test_the_filter_alone_is_told(self):
        config = json.loads(chart.filter_config(attached(self.SHADOW)))
        live = json.loads(chart.filter_config(attached({"routes": {"enabled": False}})))
        self.assertEqual(config, {**live, "shadow": True})

    def test_nothing_but_the_filter_is_installed(self):
        self.assertEqual([item["kind"] for item in chart.render(self.SHADOW).installed], ["EnvoyFilter"])
        patches = attached(self.SHADOW)["spec"]["configPatches"]
        self.assertEqual([patch["applyTo"] for patch in patches], ["EXTENSION_CONFIG", "HTTP_FILTER"])

    def test_without_it_nobody_is_told(self):
        for item in everywhere():
            self.assertNotIn("shadow", chart.filter_config(item))


class Service(unittest.TestCase):
    def test_it_is_asked_only_for_what_the_filter_defers(self):
        (matched,) = chart.typed(attached(), "ExtensionWithMatcher")
        header = {found["header_name"] for found in chart.typed(matched, "HttpRequestHeaderMatchInput")}
        self.assertEqual(header, {"x-cellgate-defer"})
        self.assertEqual(set(chart.settings(matched, "prefix")), {"buffer;", "stream;", "headers;"})

    def test_without_streams_every_body_is_one_message(self):
        """Before Envoy 1.39 two processors in the mode FULL_DUPLEX_STREAMED lose bodies."""
        item = attached({"extProc": {"bodyMode": "buffer"}})
        processors = chart.typed(item, "ExternalProcessor")
        modes = [found["processing_mode"]["request_body_mode"] for found in processors]
        self.assertEqual(modes, ["BUFFERED", "BUFFERED", "NONE"])
        self.assertTrue(all("message_timeout" in found for found in processors))

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

    def test_it_is_called_by_a_name_that_http2_servers_take(self):
        for item in everywhere():
            for processor in chart.typed(item, "ExternalProcessor"):
                with self.subTest(chart.label(item)):
                    call = processor["grpc_service"]["envoy_grpc"]
                    self.assertEqual(call["cluster_name"], f"outbound|50051||{HOST}")
                    self.assertEqual(call["authority"], HOST)

    def test_its_cluster_is_there_although_no_route_names_it(self):
        """Waypoints, and gateways that get the clusters of their routes only, are told of it by an annotation."""
        for item in everywhere():
            with self.subTest(chart.label(item)):
                referenced = item["metadata"]["annotations"].get("envoyfilter.istio.io/referenced-services")
                asks = bool(chart.typed(item, "ExternalProcessor"))
                self.assertEqual(referenced, f"{chart.NAMESPACE}/{HOST}" if asks else None)

    def test_the_deferral_goes_to_no_cell(self):
        """Whoever wrote the route."""
        for item in everywhere():
            (patch,) = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "ROUTE_CONFIGURATION"]
            with self.subTest(chart.label(item)):
                self.assertEqual(patch["patch"]["value"], {"request_headers_to_remove": ["x-cellgate-defer"]})

    def test_it_never_fails_open(self):
        for item in everywhere():
            with self.subTest(chart.label(item)):
                self.assertNotIn(True, chart.settings(item, "failure_mode_allow"))

    def test_it_answers_before_envoy_gives_up(self):
        for processor in chart.typed(attached({"extProc": {"messageTimeout": "13s"}}), "ExternalProcessor"):
            if processor["processing_mode"]["request_body_mode"] == "BUFFERED":
                self.assertEqual(processor["message_timeout"], "13s")

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

    def test_the_sidecar_of_a_cell_does_not_ask_it(self):
        """The service does not know whose sidecar asks, and could name another cell."""
        (sidecar,) = [item for item in everywhere() if item["metadata"]["namespace"] == "cell-a"]
        self.assertEqual(chart.typed(sidecar, "ExternalProcessor"), [])
        self.assertNotIn(HOST, str(sidecar))

    def test_switched_off_nothing_of_it_is_left(self):
        # `helm test` has its pod's account and configuration, with the service or without.
        objects = chart.render({"extProc": {"enabled": False}, "test": {"enabled": False}})
        self.assertEqual({item["kind"] for item in objects if HOST.split(".")[0] in item["metadata"]["name"]}, set())
        for item in objects.of("EnvoyFilter"):
            self.assertEqual(chart.typed(item, "ExternalProcessor"), [])
            self.assertNotIn(HOST, str(item))
        self.assertTrue(any(chart.typed(item, "Wasm") for item in objects.of("EnvoyFilter")))


if __name__ == "__main__":
    unittest.main()
