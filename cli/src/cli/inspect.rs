//! `cellgate inspect`: asks running services, and reports where they differ.

use std::time::Duration;

use clap::Args;

use super::commands::print;
use super::{Exit, Failure, Output, values};
use crate::http_client::Server;
use crate::inspect::{InspectError, differences, fetch, json, text};
use crate::shown_text::{escaped, shown};

/// Options of `cellgate inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The admin port of a service, such as `127.0.0.1:9902` behind `kubectl port-forward`; several are compared
    #[arg(required = true, value_name = "URL", value_parser = values::admin_port)]
    pub(crate) urls: Vec<Server>,
    /// How long to wait for each service
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::positive_duration)]
    pub(crate) timeout: Duration,
    /// The same as `--output json`
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
    /// The format of the report
    #[arg(long, default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// `cellgate inspect`. Shows the services that answer, even if others do not.
///
/// # Errors
/// A service cannot be reached, or is no Cellgate service.
pub(crate) async fn inspect(args: InspectArgs) -> Result<Exit, Failure> {
    let (mut services, mut errors) = (Vec::new(), Vec::new());
    for server in &args.urls {
        match fetch(server, args.timeout).await {
            Ok(service) => services.push(service),
            Err(error) => errors.push(error),
        }
    }
    let differences = differences(&services);
    if args.json || args.output == Output::Json {
        match services.as_slice() {
            [only] if args.urls.len() == 1 => print(&escaped(&format!("{:#}\n", only.document)))?,
            [] => {}
            several => print(&escaped(&format!("{:#}\n", json(several, &differences))))?,
        }
    } else {
        let texts: Vec<_> = services.iter().map(text).collect();
        print(&texts.join("\n"))?;
        for difference in &differences {
            print(&format!("\nThe services differ in their {}\n", shown(difference)))?;
        }
    }
    let Some(first) = errors.first() else {
        return Ok(if differences.is_empty() { Exit::Ok } else { Exit::Found });
    };
    let exit = match first {
        InspectError::Unreachable { .. } | InspectError::Forbidden { .. } | InspectError::Refused { .. } => {
            Exit::Unavailable
        }
        InspectError::NotJson { .. } | InspectError::NotInspection { .. } => Exit::BadInput,
    };
    let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
    Err(Failure::new(exit, messages.join("\n")))
}
