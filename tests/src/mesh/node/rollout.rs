//! The Deployment's rollout, with at most one extra pod and never fewer than requested.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use super::Inner;
use super::pod::Pod;
use crate::mesh::kube::path_of;

/// Reconciles the pods with the Deployment whenever it changes or a pod exits.
pub(super) async fn follow(inner: Arc<Inner>, mut desired: Receiver<Option<Value>>) -> Result<()> {
    let mut rollout = Rollout { inner, started: 0, leaving: JoinSet::new() };
    loop {
        let deployment = desired.borrow_and_update().clone();
        rollout.reconcile(deployment.as_ref(), &desired).await?;
        tokio::select! {
            changed = desired.changed() => changed?,
            () = rollout.inner.crashed.notified() => (),
        }
    }
}

struct Rollout {
    inner: Arc<Inner>,
    started: u32,
    /// Pods in their grace period. They are killed with the node.
    leaving: JoinSet<()>,
}

impl Rollout {
    /// Continues step by step until the pods match the Deployment or it has changed.
    async fn reconcile(&mut self, deployment: Option<&Value>, desired: &Receiver<Option<Value>>) -> Result<()> {
        self.inner.state().stuck = None;
        let Some(deployment) = deployment else {
            while let Some(pod) = self.oldest(|_| true) {
                self.end(pod);
            }
            self.inner.state().settled = None;
            return Ok(());
        };
        let template = &deployment["spec"]["template"];
        let revision = crate::sha256(template.to_string().as_bytes())[..10].to_owned();
        let replicas =
            deployment["spec"]["replicas"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
        while !desired.has_changed()? {
            self.report(deployment, &revision, replicas).await?;
            let pods = self.inner.state().pods.clone();
            let current = pods.iter().filter(|pod| pod.revision() == revision).count();
            if current < replicas && pods.len() <= replicas {
                if let Err(error) = self.start(deployment, &revision, template).await {
                    self.inner.state().stuck = Some(format!("{error:#}"));
                    return self.report(deployment, &revision, replicas).await;
                }
            } else if let Some(pod) = self.oldest(|pod| pod.revision() != revision || current > replicas) {
                self.end(pod);
            } else {
                self.inner.state().settled = deployment["metadata"]["generation"].as_i64();
                break;
            }
        }
        Ok(())
    }

    async fn start(&mut self, deployment: &Value, revision: &str, template: &Value) -> Result<()> {
        self.started += 1;
        let name = format!("{}-{revision}-{}", deployment["metadata"]["name"].as_str().unwrap_or("pod"), self.started);
        let pod = Pod::start(&self.inner, name, revision, template).await?;
        self.inner.state().pods.push(Arc::new(pod));
        Ok(())
    }

    fn oldest(&self, is_meant: impl Fn(&Pod) -> bool) -> Option<Arc<Pod>> {
        let mut state = self.inner.state();
        let index = state.pods.iter().position(|pod| is_meant(pod))?;
        Some(state.pods.remove(index))
    }

    /// Stops a pod. The rollout continues meanwhile.
    fn end(&mut self, pod: Arc<Pod>) {
        let inner = Arc::clone(&self.inner);
        inner.state().leaving += 1;
        self.leaving.spawn(async move {
            let ended = pod.end(&inner).await;
            let mut state = inner.state();
            state.leaving -= 1;
            match ended {
                Ok(code) => state.ended.push(code),
                Err(error) => _ = state.broken.get_or_insert(format!("{} did not end: {error:#}", pod.name())),
            }
        });
        while self.leaving.try_join_next().is_some() {}
    }

    /// Writes the Deployment's status, like its controller.
    async fn report(&self, deployment: &Value, revision: &str, replicas: usize) -> Result<()> {
        let (ready, updated, stuck) = {
            let state = self.inner.state();
            let updated = state.pods.iter().filter(|pod| pod.revision() == revision).count();
            (state.pods.len(), updated, state.stuck.clone())
        };
        let complete = ready == replicas && updated == replicas;
        // A failed rollout is not retried, because its deadline has passed.
        let (progressing, reason) = match &stuck {
            Some(_) => (false, "ProgressDeadlineExceeded"),
            None if complete => (true, "NewReplicaSetAvailable"),
            None => (true, "ReplicaSetUpdated"),
        };
        let condition = |kind: &str, holds: bool, reason: &str| {
            let message = stuck.as_deref().unwrap_or_default();
            json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message})
        };
        let status = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": ready,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": updated,
            "unavailableReplicas": replicas.saturating_sub(ready),
            "conditions": [
                condition("Available", ready >= replicas, "MinimumReplicasAvailable"),
                condition("Progressing", progressing, reason),
            ],
        });
        let path = format!("{}/status", path_of(deployment)?);
        // The Deployment may have been deleted meanwhile. The watch reports that next.
        let gone = self.inner.mesh.kube().get(&path).await?.is_none();
        if !gone {
            self.inner.mesh.kube().merge(&path, &json!({"status": status})).await?;
        }
        Ok(())
    }
}
