//! A pod's volumes as directories with a kubelet's layout: the files are links into `..data`, which is a link to the
//! directory of one version, so that a new version replaces the old one atomically.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::container::Container;

type ConfigMaps = BTreeMap<String, BTreeMap<String, String>>;

/// The volumes of one pod.
#[derive(Debug)]
pub(super) struct Volumes(Vec<Volume>);

#[derive(Debug)]
struct Volume {
    /// The mount path in the container.
    mount_path: String,
    /// The directory on this machine.
    directory: PathBuf,
    /// Its ConfigMap, if it has one.
    config_map: Option<String>,
}

impl Volumes {
    /// Creates the directories of the container's mounts. `account` has the files of the pod's service account.
    pub(super) fn mount(
        pod: &Value,
        container: &Container,
        root: &Path,
        config_maps: &ConfigMaps,
        account: Option<&BTreeMap<String, String>>,
    ) -> Result<Self> {
        let mut volumes = Vec::new();
        for (name, mount_path) in container.mounts() {
            let all = pod["spec"]["volumes"].as_array().into_iter().flatten();
            let mut named = all.filter(|volume| volume["name"] == name);
            let source = named.next().with_context(|| format!("the pod has no volume {name:?}"))?;
            let config_map = source["configMap"]["name"].as_str().map(str::to_owned);
            let directory = root.join("volumes").join(name);
            std::fs::create_dir_all(&directory)?;
            match account.filter(|_| is_of_account(source)) {
                Some(files) => {
                    for (file, text) in files {
                        std::fs::write(directory.join(file), text)?;
                    }
                }
                None if config_map.is_none() && source["emptyDir"].is_null() => {
                    bail!(
                        "this node supports only ConfigMaps, empty directories and service accounts as volumes: {source}"
                    )
                }
                None => {}
            }
            let volume = Volume { mount_path: mount_path.to_owned(), directory, config_map };
            volume.fill(config_maps)?;
            volumes.push(volume);
        }
        std::fs::create_dir_all(root)?;
        Ok(Self(volumes))
    }

    /// Updates the files of a ConfigMap.
    pub(super) fn update(&self, config_map: &str, config_maps: &ConfigMaps) -> Result<()> {
        let mut mounted = self.0.iter().filter(|volume| volume.config_map.as_deref() == Some(config_map));
        mounted.try_for_each(|volume| volume.fill(config_maps))
    }

    /// A text of the pod with the paths of this machine.
    pub(super) fn localise(&self, text: &str) -> String {
        let replace =
            |text: String, volume: &Volume| text.replace(&volume.mount_path, &volume.directory.to_string_lossy());
        self.0.iter().fold(text.to_owned(), replace)
    }
}

/// Whether a volume has the service account's token and CA certificate, which the API server adds to a pod.
pub(super) fn is_of_account(volume: &Value) -> bool {
    let sources = volume["projected"]["sources"].as_array();
    sources.is_some_and(|sources| sources.iter().any(|source| source["serviceAccountToken"].is_object()))
}

impl Volume {
    fn fill(&self, config_maps: &ConfigMaps) -> Result<()> {
        let Some(name) = &self.config_map else { return Ok(()) };
        let files = config_maps.get(name).with_context(|| format!("there is no ConfigMap {name:?}"))?;
        let link = self.directory.join("..data");
        let old = std::fs::read_link(&link).ok();
        let number: Option<u64> =
            old.as_deref().and_then(Path::to_str).and_then(|old| old.strip_prefix("..")?.parse().ok());
        let version = format!("..{}", number.map_or(0, |number| number + 1));
        std::fs::create_dir(self.directory.join(&version))?;
        for (file, text) in files {
            std::fs::write(self.directory.join(&version).join(file), text)?;
        }
        let draft = self.directory.join("..draft");
        symlink(&version, &draft)?;
        std::fs::rename(&draft, &link)?;
        for file in files.keys() {
            let link = self.directory.join(file);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(file), link)?;
            }
        }
        if let Some(old) = old {
            std::fs::remove_dir_all(self.directory.join(old))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn maps(text: &str) -> ConfigMaps {
        BTreeMap::from([("m".to_owned(), BTreeMap::from([("a.json".to_owned(), text.to_owned())]))])
    }

    #[test]
    fn a_new_version_is_seen_through_the_same_path() {
        let pod = json!({"spec": {
            "containers": [{"volumeMounts": [{"name": "v", "mountPath": "/etc/x"}]}],
            "volumes": [{"name": "v", "configMap": {"name": "m"}}],
        }});
        let container = Container::of(&pod).unwrap();
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::mount(&pod, &container, root.path(), &maps("1"), None).unwrap();
        let argument = volumes.localise("--config=/etc/x/a.json");
        let file = argument.strip_prefix("--config=").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "1");
        volumes.update("m", &maps("2")).unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "2");
    }
}
