//! The object store: a local folder unless the operator names another.

use std::path::Path as File;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use reeve_state::id::RunId;
use reeve_state::record::ManifestKey;

use crate::config::{ConfigError, NodeConfig, Violation};

/// Where objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsSetting {
    /// In a folder of this node; what others stored is asked of them.
    Folder(std::path::PathBuf),
    /// In a bucket that every node sees.
    S3 {
        /// Its name.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
    },
}

impl ObjectsSetting {
    /// `file:///folder` or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("file://") {
            if folder.starts_with('/') {
                return Ok(Self::Folder(folder.into()));
            }
        } else if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if !bucket.is_empty() {
                return Ok(Self::S3 {
                    bucket: bucket.to_owned(),
                    prefix: prefix.trim_matches('/').to_owned(),
                });
            }
        }
        Err("must be file:///absolute/folder or s3://bucket/prefix".to_owned())
    }

    /// The rule that this program cannot keep, if there is one.
    pub fn unsupported(&self) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::S3 { .. } if cfg!(feature = "s3") => None,
            Self::S3 { .. } => Some("this program was built without the feature s3".to_owned()),
        }
    }
}

/// Objects by their names.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// An object that is there already, with other bytes.
#[derive(Debug)]
pub struct Different;

impl Objects {
    pub(super) fn open(config: &NodeConfig) -> Result<Self, ConfigError> {
        let (store, prefix) = match &config.object_store {
            ObjectsSetting::Folder(folder) => (folder_store(folder).map_err(violation)?, Path::default()),
            ObjectsSetting::S3 { bucket, prefix } => {
                (s3_store(bucket).map_err(violation)?, Path::from(prefix.as_str()))
            }
        };
        Ok(Self { store, prefix })
    }

    /// The name of a chunk's object.
    pub fn path(key: ManifestKey) -> String {
        format!(
            "runs/{}/{}/{}-{}.jsonl.gz",
            key.assignment.run,
            key.assignment.ordinal,
            key.kind.name(),
            key.seq
        )
    }

    fn at(&self, path: &str) -> Path {
        let parts = self.prefix.parts();
        let own = Path::from(path);
        parts.chain(own.parts()).collect()
    }

    /// Stores an object; the same again is as good.
    pub async fn put(&self, path: &str, data: Bytes) -> object_store::Result<Result<(), Different>> {
        let options = PutOptions::from(PutMode::Create);
        match self
            .store
            .put_opts(&self.at(path), data.clone().into(), options)
            .await
        {
            Ok(_) => Ok(Ok(())),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let stored = self.get(path).await?;
                Ok(if stored == data { Ok(()) } else { Err(Different) })
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes an object. What is gone already is no error.
    pub async fn delete(&self, path: &str) -> object_store::Result<()> {
        match self.store.delete(&self.at(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The bytes of an object.
    pub async fn get(&self, path: &str) -> object_store::Result<Bytes> {
        self.store.get(&self.at(path)).await?.bytes().await
    }

    /// Deletes every object of a run. What is gone already is no error.
    pub async fn delete_run(&self, run: RunId) -> object_store::Result<()> {
        let folder = self.at(&format!("runs/{run}"));
        let objects: Vec<Path> = self
            .store
            .list(Some(&folder))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await?;
        for object in objects {
            match self.store.delete(&object).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn violation(rule: String) -> ConfigError {
    ConfigError {
        violations: vec![Violation {
            field: "object_store",
            rule,
        }],
    }
}

fn folder_store(folder: &File) -> Result<Arc<dyn ObjectStore>, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("{} cannot be used: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
    let store =
        object_store::local::LocalFileSystem::new_with_prefix(folder).map_err(|error| unusable(&error))?;
    Ok(Arc::new(store.with_automatic_cleanup(true)))
}

/// Region, endpoint and credentials come from the environment, as AWS's own programs read it.
#[cfg(feature = "s3")]
fn s3_store(bucket: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let builder = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket);
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "s3"))]
fn s3_store(_: &str) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this program was built without the feature s3".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn objects(folder: &File) -> Objects {
        Objects {
            store: folder_store(folder).unwrap(),
            prefix: Path::default(),
        }
    }

    #[test]
    fn a_setting_is_a_folder_or_a_bucket() {
        assert_eq!(
            ObjectsSetting::parse("file:///var/reeve"),
            Ok(ObjectsSetting::Folder("/var/reeve".into()))
        );
        let s3 = |bucket: &str, prefix: &str| {
            Ok(ObjectsSetting::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            })
        };
        assert_eq!(ObjectsSetting::parse("s3://b/a/c/"), s3("b", "a/c"));
        assert_eq!(ObjectsSetting::parse("s3://b"), s3("b", ""));
        for wrong in ["", "file://relative", "s3://", "/var/reeve", "gs://b"] {
            assert!(ObjectsSetting::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_object_is_stored_once_and_gone_with_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(folder.path());
        let run = RunId::from_bytes([1; 16]);
        let path = format!("runs/{run}/0/metrics-0.jsonl.gz");
        objects
            .put(&path, Bytes::from_static(b"a"))
            .await
            .unwrap()
            .unwrap();
        objects
            .put(&path, Bytes::from_static(b"a"))
            .await
            .unwrap()
            .unwrap();
        assert!(
            objects
                .put(&path, Bytes::from_static(b"b"))
                .await
                .unwrap()
                .is_err()
        );
        assert_eq!(objects.get(&path).await.unwrap(), Bytes::from_static(b"a"));
        let other = format!("runs/{}/0/metrics-0.jsonl.gz", RunId::from_bytes([2; 16]));
        objects
            .put(&other, Bytes::from_static(b"c"))
            .await
            .unwrap()
            .unwrap();
        objects.delete_run(run).await.unwrap();
        objects.delete_run(run).await.unwrap();
        assert!(objects.get(&path).await.is_err());
        assert!(objects.get(&other).await.is_ok());
    }
}
