//! The suite in the mesh: `make test-mesh`. One control plane for all tests, and a release of the chart for each.

mod admission;
mod agent;
mod browsers;
mod check;
mod circuits;
mod doctor;
mod lifecycle;
mod mtls;
mod neighbours;
mod probe;
mod recipes;
mod refusals;
mod routing;
mod sidecars;
mod support;
mod traffic;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use cellgate_tests::mesh::Mesh;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// What each test is given.
type Shared = Arc<Mesh>;

/// How many tests run at a time, unless the command line says otherwise: each has half a dozen programs of its own.
const AT_A_TIME: usize = 2;

/// Trials of tests that are named by their paths.
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
        admission::what_kustomize_and_argo_cd_apply_is_accepted,
        admission::a_misspelt_field_is_refused,
        admission::pods_fit_a_restricted_namespace,
        admission::the_service_may_do_nothing,
        agent::the_module_is_fetched_and_routes,
        agent::a_module_of_another_digest_lets_nothing_through,
        browsers::a_preflight_is_answered_and_reaches_no_cell,
        browsers::a_page_reads_answers_and_refusals,
        browsers::other_hosts_answers_stay_as_they_are,
        check::a_refused_configuration_installs_nothing,
        check::a_refused_configuration_upgrades_nothing,
        circuits::a_full_cell_refuses_at_once,
        circuits::a_failing_cell_is_left_out_for_a_while,
        doctor::nothing_is_wrong_with_a_release,
        doctor::what_stops_routing_is_found,
        doctor::what_is_not_encrypted_is_found,
        lifecycle::an_upgrade_and_a_rollback_lose_no_request,
        lifecycle::an_uninstalled_release_leaves_nothing,
        lifecycle::a_refused_configuration_stops_at_the_first_pod,
        lifecycle::a_killed_replica_is_replaced_and_the_other_serves,
        lifecycle::helm_test_passes_with_the_filter_and_fails_without,
        mtls::both_tiers_and_the_cells_are_reached_with_identities,
        mtls::plain_text_is_refused,
        mtls::another_identity_sets_no_routing_header,
        neighbours::a_host_that_has_an_owner_is_taken_over,
        neighbours::an_older_pattern_on_a_server_of_the_host_is_named,
        neighbours::a_younger_virtual_service_takes_nothing_from_the_cells,
        neighbours::a_destination_rule_that_was_there_is_named,
        neighbours::a_younger_rule_with_an_export_is_named,
        neighbours::a_younger_destination_rule_changes_nothing,
        neighbours::a_larger_buffer_stays,
        neighbours::other_hosts_are_served_as_before,
        neighbours::only_the_cells_requests_end_when_they_stand_still,
        neighbours::a_certificate_challenge_is_answered,
        neighbours::another_processor_is_named,
        neighbours::what_may_not_be_seen_is_said,
        neighbours::a_thousand_neighbours_are_read,
        probe::a_passed_test_leaves_no_route,
        probe::a_service_that_is_gone_is_named,
        probe::a_header_that_is_believed_is_named,
        recipes::canary,
        recipes::drain,
        recipes::fault_injection,
        recipes::locality_failover,
        recipes::mirror,
        recipes::move_tenant,
        recipes::opt_out,
        recipes::retry_budget,
        recipes::shadow,
        recipes::slow_cell,
        refusals::values_that_contradict_install_nothing,
        refusals::what_the_cluster_lacks_is_said_before_it_is_missed,
        refusals::an_istio_that_is_too_old_is_refused,
        refusals::a_refused_upgrade_changes_nothing,
        routing::a_body_chooses_its_cell,
        routing::a_client_does_not_choose_its_cell,
        routing::a_header_that_no_filter_has_set_leads_nowhere,
        routing::what_else_the_gateway_serves_passes,
        routing::the_service_decides_what_the_filter_defers,
        routing::without_a_decision_there_is_no_cell,
        routing::only_the_attached_gateway_has_the_filter,
        sidecars::the_gateways_decision_is_taken_over,
        sidecars::what_belongs_to_another_cell_is_refused,
        sidecars::nobody_else_decides_for_the_sidecar,
        traffic::a_retry_stays_in_its_cell_with_the_body,
        traffic::nothing_else_is_retried,
        traffic::a_cell_that_is_too_late_is_given_up,
        traffic::a_dead_cell_costs_the_others_nothing,
        traffic::routes_change_without_a_lost_request,
    ];
    let conclusion = libtest_mimic::run(&arguments, tests);
    if conclusion.has_failed() {
        suite.show_logs();
    }
    conclusion.exit_code()
}

/// What the tests share.
struct Suite {
    mesh: Option<Shared>,
    runtime: Arc<Runtime>,
}

impl Suite {
    /// Starts the control plane, unless the tests are only to be listed.
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
