//! A simulated node: does the work of kubelet and controllers for one namespace. It runs the Deployment's pods and
//! helm's hook pods as processes, from their objects in the API server.
//!
//! - A pod has its own loopback address. Since there is no network namespace, `[::]` in its arguments becomes that
//!   address. Since there is no mount namespace, a mount path becomes the path of the volume's directory.
//! - A ready pod becomes a WorkloadEntry with its labels and its service account, so that Istio's services select it.
//! - The API server admits each pod in a dry run, which checks pod security and service accounts.
//! - A changed template is rolled out: a new pod is ready before an old one stops. A stopping pod leaves its services,
//!   gets SIGTERM, and has its grace period.
//! - A pod that exits, or that a test kills, leaves its services and is replaced.
//! - The host of a Service in its arguments becomes an address, if NetworkPolicies let the pod reach the Service.
//! - A changed ConfigMap is replaced in the running pods' directories at once.

mod container;
mod network_policy;
mod pod;
mod rollout;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::Mesh;
use super::kube::{Change, path_of};
use super::workload::Reach;
use crate::wait;
use container::Container;
pub(crate) use pod::Pod;
use volumes::Volumes;

/// A node for one namespace. Dropping it kills its pods.
#[derive(Debug)]
pub struct Node {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

/// The state that the node's tasks share.
#[derive(Debug)]
struct Inner {
    mesh: Arc<Mesh>,
    namespace: String,
    sidecars: Option<Reach>,
    directory: PathBuf,
    state: Mutex<State>,
    /// Notified when a pod of the Deployment has exited unexpectedly.
    crashed: Notify,
}

#[derive(Debug, Default)]
struct State {
    pods: Vec<Arc<Pod>>,
    config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Pods in their grace period.
    leaving: usize,
    /// The exit codes of stopped pods.
    ended: Vec<Option<i32>>,
    /// Why the current Deployment cannot be rolled out.
    stuck: Option<String>,
    /// The error that ended a task of the node.
    broken: Option<String>,
    /// The Deployment's generation that is rolled out.
    settled: Option<i64>,
}

impl Node {
    /// Starts a node for a namespace. `sidecars` adds a sidecar to each pod of the Deployment.
    pub(crate) fn start(mesh: &Arc<Mesh>, namespace: &str, sidecars: Option<Reach>, directory: PathBuf) -> Self {
        let inner = Arc::new(Inner {
            mesh: Arc::clone(mesh),
            namespace: namespace.to_owned(),
            sidecars,
            directory,
            state: Mutex::default(),
            crashed: Notify::new(),
        });
        let (desired, deployments) = watch::channel(None);
        let tasks = vec![
            inner.run(Arc::clone(&inner).follow_config_maps()),
            inner.run(Arc::clone(&inner).follow_deployments(desired)),
            inner.run(Arc::clone(&inner).follow_hook_pods()),
            inner.run(Arc::clone(&inner).watch_over_pods()),
            inner.run(rollout::follow(Arc::clone(&inner), deployments)),
        ];
        Self { inner, tasks }
    }

    /// Waits until the current Deployment of the namespace is rolled out and no old pod is left.
    ///
    /// # Errors
    /// When it cannot be rolled out, or on a timeout.
    pub async fn settled(&self) -> Result<()> {
        let list = format!("/apis/apps/v1/namespaces/{}/deployments", self.inner.namespace);
        let deployments = self.inner.mesh.kube().list(&list).await?;
        let generation = deployments.first().and_then(|deployment| deployment["metadata"]["generation"].as_i64());
        wait::until("the rollout", || async {
            self.must_work()?;
            let state = self.inner.state();
            if let Some(reason) = &state.stuck {
                bail!("the Deployment cannot be rolled out: {reason}");
            }
            Ok((state.settled == generation && state.leaving == 0).then_some(()))
        })
        .await
    }

    /// The Deployment's pods that are ready, oldest first.
    #[must_use]
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.inner.state().pods.clone()
    }

    /// The exit codes of all stopped pods; `None` for a pod that was killed.
    #[must_use]
    pub fn exit_codes(&self) -> Vec<Option<i32>> {
        self.inner.state().ended.clone()
    }

    /// Fails if the node itself has failed.
    ///
    /// # Errors
    /// See above.
    pub fn must_work(&self) -> Result<()> {
        match &self.inner.state().broken {
            Some(reason) => bail!("the node of {} has failed: {reason}", self.inner.namespace),
            None => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Without the lock, because dropping a crashed pod panics.
        let pods = std::mem::take(&mut self.inner.state().pods);
        drop(pods);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task of the node. Its error is recorded as the node's.
    fn run(self: &Arc<Self>, task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = task.await {
                inner.state().broken.get_or_insert(format!("{error:#}"));
            }
        })
    }

    fn list(&self, group: &str, kind: &str) -> String {
        format!("{group}/namespaces/{}/{kind}", self.namespace)
    }

    async fn follow_config_maps(self: Arc<Self>) -> Result<()> {
        let mut watch = self.mesh.kube().watch(&self.list("/api/v1", "configmaps")).await?;
        loop {
            // A deleted ConfigMap stays mounted.
            let Change::Is(map) = watch.next().await? else { continue };
            let (name, data) = files_of(&map);
            let pods = {
                let mut state = self.state();
                state.config_maps.insert(name.clone(), data);
                state.pods.clone()
            };
            for pod in pods {
                pod.volumes().update(&name, &self.state().config_maps)?;
            }
        }
    }

    async fn follow_deployments(self: Arc<Self>, desired: watch::Sender<Option<Value>>) -> Result<()> {
        let mut watch = self.mesh.kube().watch(&self.list("/apis/apps/v1", "deployments")).await?;
        loop {
            let deployment = match watch.next().await? {
                Change::Is(deployment) => Some(deployment),
                Change::Gone(_) => None,
            };
            // The node itself writes the status.
            desired.send_if_modified(|known| {
                let changed = generation(known.as_ref()) != generation(deployment.as_ref());
                if changed {
                    *known = deployment;
                }
                changed
            });
        }
    }

    /// Removes exited pods from their services and makes the rollout replace them.
    async fn watch_over_pods(self: Arc<Self>) -> Result<()> {
        let mut rounds = tokio::time::interval(Duration::from_millis(100));
        loop {
            rounds.tick().await;
            let pods = self.state().pods.clone();
            for pod in pods {
                if pod.process().exit_status()?.is_none() {
                    continue;
                }
                {
                    let mut state = self.state();
                    state.pods.retain(|known| known.name() != pod.name());
                    state.settled = None;
                }
                pod.leave(&self).await?;
                self.crashed.notify_one();
            }
        }
    }

    /// Runs the pods of helm's hooks until they exit.
    async fn follow_hook_pods(self: Arc<Self>) -> Result<()> {
        let mut watch = self.mesh.kube().watch(&self.list("/api/v1", "pods")).await?;
        let mut running = JoinSet::new();
        loop {
            let pod = match watch.next().await? {
                Change::Is(pod)
                    if pod["status"]["phase"] == "Pending" && pod["metadata"]["deletionTimestamp"].is_null() =>
                {
                    pod
                }
                _ => continue,
            };
            if pod["metadata"]["annotations"]["helm.sh/hook"].is_string() {
                running.spawn(Arc::clone(&self).run_hook_pod(pod));
            }
            while running.try_join_next().is_some() {}
        }
    }

    async fn run_hook_pod(self: Arc<Self>, pod: Value) {
        let outcome = match self.complete(&pod).await {
            Ok((0, log)) => json!({"phase": "Succeeded", "message": log}),
            Ok((code, log)) => json!({"phase": "Failed", "message": format!("exit code {code}: {log}")}),
            Err(error) => json!({"phase": "Failed", "message": format!("{error:#}")}),
        };
        let patched =
            async { self.mesh.kube().merge(&format!("{}/status", path_of(&pod)?), &json!({"status": outcome})).await };
        if let Err(error) = patched.await {
            self.state().broken.get_or_insert(format!("the hook pod's status: {error:#}"));
        }
    }

    /// The files of a pod's service account, if it is mounted: a token, and the API server's CA certificate.
    async fn account(&self, pod: &Value) -> Result<Option<BTreeMap<String, String>>> {
        let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        if !volumes.any(volumes::is_of_account) {
            return Ok(None);
        }
        let name = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let token = self.mesh.kube().token(&self.namespace, name).await?;
        let authority = self.mesh.control_plane().authority()?;
        Ok(Some([("token".to_owned(), token), ("ca.crt".to_owned(), authority)].into()))
    }

    /// Runs the single container of a pod until it exits, and returns its exit code and its log.
    async fn complete(&self, pod: &Value) -> Result<(i32, String)> {
        let container = Container::of(pod)?;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let directory = self.directory.join(format!("{name}-{}", pod["metadata"]["uid"].as_str().unwrap_or_default()));
        // The pod is created right after its ConfigMap, so the watch may not have the ConfigMap yet.
        let config_maps = self.mesh.kube().list(&self.list("/api/v1", "configmaps")).await?;
        let config_maps = config_maps.iter().map(files_of).collect();
        let account = self.account(pod).await?;
        let volumes = Volumes::mount(pod, &container, &directory, &config_maps, account.as_ref())?;
        let address = self.mesh.addresses().next();
        let api_server = self.mesh.control_plane().address();
        let place = container::Place { pod, volumes: &volumes, address, ports: &[], api_server, hosts: &[] };
        let process = container.start(&place, &directory.join("log"))?;
        let deadline = Duration::from_secs(pod["spec"]["activeDeadlineSeconds"].as_u64().unwrap_or(120));
        let ended = tokio::time::timeout(deadline, container::exit_code(&process)).await;
        let code = ended.with_context(|| format!("not ended after {} s: {}", deadline.as_secs(), process.log()))??;
        Ok((code.unwrap_or(-1), process.log()))
    }
}

/// The name and the files of a ConfigMap.
fn files_of(map: &Value) -> (String, BTreeMap<String, String>) {
    let data = map["data"].as_object().into_iter().flatten();
    let files = data.map(|(key, text)| (key.clone(), text.as_str().unwrap_or_default().to_owned())).collect();
    (map["metadata"]["name"].as_str().unwrap_or_default().to_owned(), files)
}

fn generation(deployment: Option<&Value>) -> Option<(i64, &str)> {
    let metadata = &deployment?["metadata"];
    Some((metadata["generation"].as_i64()?, metadata["uid"].as_str()?))
}
