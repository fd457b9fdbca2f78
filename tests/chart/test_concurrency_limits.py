"""Limits that need the response: both tiers get them where the service counts, and only then Envoy may send parts of it."""

import json
import unittest

import chart
import matrix


def rendering(name):
    return dict(matrix.renderings())[name]


def processors(name):
    """The settings of each processor by its request_body_mode."""
    found = [processor for item in rendering(name).filters for processor in chart.typed(item, "ExternalProcessor")]
    return [
        (
            processor["processing_mode"]["request_body_mode"],
            processor.get("allow_mode_override", False),
            processor["processing_mode"]["response_header_mode"],
            processor["processing_mode"]["response_trailer_mode"],
        )
        for processor in found
    ]


class ConcurrencyLimits(unittest.TestCase):
    def test_a_filter_without_the_service_has_no_limits(self):
        objects = rendering("concurrency limits")
        self.assertEqual(json.loads(chart.service_config(objects))["concurrency_limits"], [matrix.IN_FLIGHT])
        for item in objects.filters:
            limits = json.loads(chart.filter_config(item)).get("concurrency_limits")
            defers = bool(chart.typed(item, "ExternalProcessor"))
            with self.subTest(chart.label(item)):
                self.assertEqual(limits, [matrix.IN_FLIGHT] if defers else None)

    def test_the_service_may_ask_for_the_end_of_responses(self):
        """By an override for the requests that such a limit counts, and always where Envoy ignores an override."""
        expected = {
            ("BUFFERED", True, "SKIP", "SKIP"),
            ("FULL_DUPLEX_STREAMED", False, "SKIP", "SEND"),
            ("NONE", True, "SKIP", "SKIP"),
        }
        self.assertEqual(set(processors("concurrency limits")), expected)
        self.assertEqual(
            processors("concurrency limits, body mode buffer"),
            [("BUFFERED", True, "SKIP", "SKIP")] * 2 + [("NONE", True, "SKIP", "SKIP")],
        )

    def test_the_service_may_ask_for_the_responses_that_settle_costs(self):
        expected = {
            ("BUFFERED", True, "SKIP", "SKIP"),
            ("FULL_DUPLEX_STREAMED", False, "SEND", "SKIP"),
            ("NONE", True, "SKIP", "SKIP"),
        }
        self.assertEqual(set(processors("settled by headers")), expected)
        expected = {
            ("BUFFERED", True, "SKIP", "SKIP"),
            ("FULL_DUPLEX_STREAMED", False, "SEND", "SEND"),
            ("NONE", True, "SKIP", "SKIP"),
        }
        self.assertEqual(set(processors("settled by trailers")), expected)
        self.assertEqual(
            set(processors("settled by trailers, body mode buffer")),
            {("BUFFERED", True, "SKIP", "SKIP"), ("NONE", True, "SKIP", "SKIP")},
        )

    def test_without_such_limits_no_processor_asks(self):
        for name in ["defaults", "rate limits", "body mode buffer"]:
            for body, *asked in processors(name):
                with self.subTest(name, body=body):
                    self.assertEqual(asked, [False, "SKIP", "SKIP"])


if __name__ == "__main__":
    unittest.main()
