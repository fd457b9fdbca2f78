//! The tests in the mesh (`make test-mesh`). All tests share one control plane, and each has its own release of the
//! chart.

mod admission;
mod agent;
mod browsers;
mod check;
mod circuits;
mod claims;
mod doctor;
mod image_origin;
#[path = "../common/jwt.rs"]
mod jwt;
mod leases;
mod lifecycle;
mod mtls;
mod neighbours;
mod probe;
mod rate_limits;
mod recipes;
mod refusals;
mod routing;
mod sidecars;
mod support;
mod traces;
mod traffic;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use cellgate_tests::mesh::Mesh;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// The mesh that all tests share.
type Shared = Arc<Mesh>;

/// The default number of parallel tests. Each test starts about six programs.
const AT_A_TIME: usize = 2;

/// The trials of tests, each named by its path.
macro_rules! tests {
    ($suite:expr; $($module:ident :: $name:ident),* $(,)?) => {
        vec![$($suite.test(concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let suite = match Suite::new(&arguments) {
        Ok(suite) => suite,
        Err(error) => {
            eprintln!("the mesh did not start: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let tests = tests![suite;
        admission::every_rendering_is_accepted,
        admission::every_recipe_is_accepted,
        admission::objects_applied_by_kustomize_and_argo_cd_are_accepted,
        admission::a_misspelt_field_is_rejected,
        admission::pods_fit_a_restricted_namespace,
        admission::the_service_account_has_no_permissions,
        agent::the_module_is_fetched_and_routes,
        agent::with_a_module_of_another_digest_no_request_passes,
        browsers::a_preflight_gets_a_response_and_reaches_no_cell,
        browsers::a_page_can_read_responses_and_refusals,
        browsers::responses_of_other_hosts_are_unchanged,
        check::a_rejected_configuration_installs_nothing,
        check::a_rejected_configuration_upgrades_nothing,
        circuits::an_overloaded_cell_rejects_at_once,
        circuits::a_failing_cell_is_ejected_and_returns,
        claims::a_verified_claim_determines_the_cell,
        claims::a_forged_token_routes_nowhere,
        claims::a_clients_own_header_loses_to_the_claim,
        claims::the_filter_stands_behind_authentication,
        doctor::a_good_release_has_no_error,
        doctor::faults_that_stop_routing_are_found,
        doctor::a_plain_text_cell_is_found,
        image_origin::only_a_digest_of_the_registry_is_admitted,
        leases::a_gateway_admits_requests_by_leases,
        leases::a_sidecar_admits_requests_by_leases,
        leases::a_cluster_that_does_not_exist_is_found,
        lifecycle::no_request_fails_during_upgrade_and_rollback,
        lifecycle::an_uninstalled_release_leaves_nothing,
        lifecycle::a_rejected_configuration_stops_the_rollout_at_the_first_pod,
        lifecycle::a_killed_replica_is_replaced_while_the_other_serves,
        lifecycle::helm_test_passes_with_the_filter_and_fails_without,
        mtls::both_tiers_and_the_cells_are_reached_with_identities,
        mtls::plain_text_is_refused,
        mtls::another_identity_sets_no_routing_header,
        neighbours::a_host_that_has_an_owner_is_taken_over,
        neighbours::an_older_wildcard_on_a_server_of_the_host_is_reported,
        neighbours::a_newer_virtual_service_takes_no_requests_from_the_cells,
        neighbours::an_existing_destination_rule_is_reported,
        neighbours::a_newer_rule_with_an_export_is_reported,
        neighbours::a_newer_destination_rule_changes_nothing,
        neighbours::a_larger_buffer_limit_is_kept,
        neighbours::other_hosts_are_served_as_before,
        neighbours::only_the_cells_routes_have_an_idle_timeout,
        neighbours::a_certificate_challenge_is_answered,
        neighbours::another_processor_is_reported,
        neighbours::objects_without_read_permission_are_listed,
        neighbours::a_thousand_neighbours_are_read,
        probe::a_passed_test_leaves_no_route,
        probe::a_missing_service_is_reported,
        probe::a_trusted_client_header_is_reported,
        rate_limits::a_tenant_over_its_limit_gets_429_and_no_other_notices,
        rate_limits::a_limit_is_added_and_removed_without_a_failed_request,
        rate_limits::a_gateway_and_a_sidecar_count_a_request_once,
        rate_limits::a_peer_is_counted_by_its_identity,
        rate_limits::a_neighbours_limits_and_headers_change_nothing,
        recipes::api_key_limit,
        recipes::canary,
        recipes::drain,
        recipes::fault_injection,
        recipes::locality_failover,
        recipes::mirror,
        recipes::move_tenant,
        recipes::opt_out,
        recipes::plan_tiers,
        recipes::protect_cell,
        recipes::lease,
        recipes::retry_budget,
        recipes::shadow,
        recipes::slow_cell,
        refusals::contradictory_values_install_nothing,
        refusals::missing_prerequisites_are_reported_at_installation,
        refusals::an_unsupported_istio_version_is_rejected,
        refusals::a_rejected_upgrade_changes_nothing,
        routing::the_key_in_the_body_determines_the_cell,
        routing::a_client_cannot_choose_its_cell,
        routing::without_the_filter_the_clients_header_reaches_no_cell,
        routing::requests_for_other_hosts_pass,
        routing::the_service_decides_what_the_filter_defers,
        routing::an_undecided_request_reaches_no_cell,
        routing::only_the_attached_gateway_has_the_filter,
        sidecars::the_gateways_decision_is_accepted,
        sidecars::a_request_of_another_cell_is_rejected,
        sidecars::the_sidecar_accepts_no_other_peers_decision,
        traces::a_deferred_request_is_one_trace,
        traces::the_service_without_a_sidecar_is_below_the_gateways_call,
        traces::the_gateways_span_explains_what_never_reached_the_service,
        traces::a_clients_context_is_continued,
        traces::a_malformed_context_hides_the_request_at_the_gateway,
        traces::before_istio_1_29_the_routing_header_is_the_tag,
        traces::the_release_replaces_the_tags_of_older_telemetries,
        traces::a_newer_telemetry_replaces_the_tags,
        traffic::a_retry_stays_in_its_cell_with_the_body,
        traffic::nothing_else_is_retried,
        traffic::a_slow_cell_times_out,
        traffic::a_crashed_cell_does_not_affect_the_others,
        traffic::no_request_fails_while_routes_change,
    ];
    let conclusion = libtest_mimic::run(&arguments, tests);
    if conclusion.has_failed() {
        suite.show_logs();
    }
    conclusion.exit_code()
}

/// The state that the tests share.
struct Suite {
    mesh: Option<Shared>,
    runtime: Arc<Runtime>,
}

impl Suite {
    /// Starts the control plane unless the tests are only listed.
    fn new(arguments: &Arguments) -> Result<Self> {
        let runtime = Arc::new(Runtime::new()?);
        let mesh = if arguments.list { None } else { Some(Arc::new(runtime.block_on(Mesh::start())?)) };
        Ok(Self { mesh, runtime })
    }

    fn test<Body, Running>(&self, name: &str, body: Body) -> Trial
    where
        Body: FnOnce(Shared) -> Running + Send + 'static,
        Running: Future<Output = Result<()>>,
    {
        let (mesh, runtime) = (self.mesh.clone(), Arc::clone(&self.runtime));
        Trial::test(name, move || {
            let mesh = mesh.ok_or("listed, not run")?;
            runtime.block_on(body(mesh)).map_err(|error| Failed::from(format!("{error:#}")))
        })
    }

    fn show_logs(&self) {
        let Some(mesh) = &self.mesh else { return };
        for process in mesh.control_plane().processes().iter().chain([mesh.istiod().process()]) {
            process.show_log();
        }
    }
}
