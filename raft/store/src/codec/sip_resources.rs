//! Registrars, accounts and media files: the commands on them, their rows, and what is said when one is missing.

use std::sync::Arc;

use reeve_proto::internal as wire;
use reeve_state::command::{
    DeleteAccounts, DeleteMedia, DeleteRegistrar, NewAccount, PutAccounts, PutMedia, PutRegistrar, SipFault,
};
use reeve_state::id::{Revision, RunId, ScopedName};
use reeve_state::record::{
    MediaFile, Registrar, SealedSecret, SipAccount, SipAccountKey, SipLease, SipLeaseKey,
};
use reeve_state::time::Time;

use super::enums::Numbered;
use super::record::{project_name, project_text};
use super::{DecodeError, Wire, fixed, id_bytes, list, message, optional, protos};

impl Wire for ScopedName {
    type Proto = wire::ScopedName;

    fn to_proto(&self) -> Self::Proto {
        wire::ScopedName {
            project: project_text(&self.project),
            name: self.name.to_string(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self::new(&project_name(&proto.project), &proto.name))
    }
}

impl Wire for PutRegistrar {
    type Proto = wire::PutRegistrar;

    fn to_proto(&self) -> Self::Proto {
        wire::PutRegistrar {
            key: Some(self.key.to_proto()),
            domain: self.domain.clone(),
            host: self.host.clone(),
            port: self.port.map(u32::from),
            transport: self.transport.number(),
            outbound_proxy: self.outbound_proxy.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            domain: proto.domain,
            host: proto.host,
            port: port(proto.port)?,
            transport: Numbered::numbered("transport", proto.transport)?,
            outbound_proxy: proto.outbound_proxy,
        })
    }
}

fn port(number: Option<u32>) -> Result<Option<u16>, DecodeError> {
    let unknown = |value: u32| DecodeError::Unknown {
        field: "port",
        value: u64::from(value),
    };
    number
        .map(|number| u16::try_from(number).map_err(|_| unknown(number)))
        .transpose()
}

impl Wire for DeleteRegistrar {
    type Proto = wire::DeleteRegistrar;

    fn to_proto(&self) -> Self::Proto {
        wire::DeleteRegistrar {
            key: Some(self.key.to_proto()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
        })
    }
}

impl Wire for PutAccounts {
    type Proto = wire::PutAccounts;

    fn to_proto(&self) -> Self::Proto {
        wire::PutAccounts {
            pool: Some(self.pool.to_proto()),
            accounts: protos(&self.accounts),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            pool: message("pool", proto.pool)?,
            accounts: list(proto.accounts)?,
        })
    }
}

impl Wire for NewAccount {
    type Proto = wire::NewAccount;

    fn to_proto(&self) -> Self::Proto {
        wire::NewAccount {
            username: self.username.to_string(),
            secret: self.secret.as_ref().map(Wire::to_proto),
            realm: self.realm.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            username: proto.username.into(),
            secret: optional(proto.secret)?,
            realm: proto.realm,
        })
    }
}

impl Wire for SealedSecret {
    type Proto = wire::SealedSecret;

    fn to_proto(&self) -> Self::Proto {
        wire::SealedSecret {
            key_id: id_bytes(&self.key_id),
            sealed: id_bytes(&self.sealed),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key_id: fixed("key_id", &proto.key_id)?,
            sealed: proto.sealed.into(),
        })
    }
}

impl Wire for DeleteAccounts {
    type Proto = wire::DeleteAccounts;

    fn to_proto(&self) -> Self::Proto {
        wire::DeleteAccounts {
            pool: Some(self.pool.to_proto()),
            usernames: texts(&self.usernames),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            pool: message("pool", proto.pool)?,
            usernames: proto.usernames.into_iter().map(Into::into).collect(),
        })
    }
}

fn texts(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Wire for PutMedia {
    type Proto = wire::PutMedia;

    fn to_proto(&self) -> Self::Proto {
        wire::PutMedia {
            key: Some(self.key.to_proto()),
            sha256: id_bytes(&self.sha256),
            bytes: self.bytes,
            duration_ms: self.duration_ms,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            sha256: fixed("sha256", &proto.sha256)?,
            bytes: proto.bytes,
            duration_ms: proto.duration_ms,
        })
    }
}

impl Wire for DeleteMedia {
    type Proto = wire::DeleteMedia;

    fn to_proto(&self) -> Self::Proto {
        wire::DeleteMedia {
            key: Some(self.key.to_proto()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
        })
    }
}

impl Wire for Registrar {
    type Proto = wire::Registrar;

    fn to_proto(&self) -> Self::Proto {
        wire::Registrar {
            key: Some(self.key.to_proto()),
            domain: self.domain.clone(),
            host: self.host.clone(),
            port: self.port.map(u32::from),
            transport: self.transport.number(),
            outbound_proxy: self.outbound_proxy.clone(),
            created_at_ms: self.created_at.0,
            updated_at_ms: self.updated_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            domain: proto.domain,
            host: proto.host,
            port: port(proto.port)?,
            transport: Numbered::numbered("transport", proto.transport)?,
            outbound_proxy: proto.outbound_proxy,
            created_at: Time(proto.created_at_ms),
            updated_at: Time(proto.updated_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for SipAccount {
    type Proto = wire::SipAccount;

    fn to_proto(&self) -> Self::Proto {
        wire::SipAccount {
            pool: Some(self.key.pool.to_proto()),
            username: self.key.username.to_string(),
            secret: self.secret.as_ref().map(Wire::to_proto),
            realm: self.realm.clone(),
            updated_at_ms: self.updated_at.0,
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: SipAccountKey {
                pool: message("pool", proto.pool)?,
                username: proto.username.into(),
            },
            secret: optional(proto.secret)?,
            realm: proto.realm,
            updated_at: Time(proto.updated_at_ms),
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for SipLease {
    type Proto = wire::SipLease;

    fn to_proto(&self) -> Self::Proto {
        wire::SipLease {
            run: id_bytes(self.key.run.as_bytes()),
            group: self.key.group,
            pool: Some(self.pool.to_proto()),
            usernames: texts(&self.usernames),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: SipLeaseKey {
                run: RunId::from_bytes(fixed("run", &proto.run)?),
                group: proto.group,
            },
            pool: message("pool", proto.pool)?,
            usernames: proto.usernames.into_iter().map(Into::into).collect(),
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for MediaFile {
    type Proto = wire::MediaFile;

    fn to_proto(&self) -> Self::Proto {
        wire::MediaFile {
            key: Some(self.key.to_proto()),
            sha256: id_bytes(&self.sha256),
            bytes: self.bytes,
            duration_ms: self.duration_ms,
            created_at_ms: self.created_at.0,
            updated_at_ms: self.updated_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            sha256: fixed("sha256", &proto.sha256)?,
            bytes: proto.bytes,
            duration_ms: proto.duration_ms,
            created_at: Time(proto.created_at_ms),
            updated_at: Time(proto.updated_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for SipFault {
    type Proto = wire::SipFault;

    fn to_proto(&self) -> Self::Proto {
        use wire::sip_fault::{Fault, Named, TooFewAccounts};
        let named = |group: &String, name: &String| Named {
            group: group.clone(),
            name: name.clone(),
        };
        let (project, fault) = match self {
            Self::NoRegistrar {
                group,
                registrar,
                project,
            } => (project, Fault::NoRegistrar(named(group, registrar))),
            Self::NoMedia {
                group,
                media,
                project,
            } => (project, Fault::NoMedia(named(group, media))),
            Self::TooFewAccounts {
                group,
                pool,
                project,
                needed,
                total,
                free,
                in_use,
                runs,
            } => {
                let fault = TooFewAccounts {
                    group: group.clone(),
                    pool: pool.clone(),
                    needed: *needed,
                    total: *total,
                    free: *free,
                    in_use: *in_use,
                    runs: runs.iter().map(|run| id_bytes(run.as_bytes())).collect(),
                };
                (project, Fault::TooFewAccounts(fault))
            }
        };
        wire::SipFault {
            project: project_text(project),
            fault: Some(fault),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::sip_fault::Fault;
        let project = project_name(&proto.project);
        Ok(match proto.fault.ok_or(DecodeError::UnknownKind("fault"))? {
            Fault::NoRegistrar(fault) => Self::NoRegistrar {
                group: fault.group,
                registrar: fault.name,
                project,
            },
            Fault::NoMedia(fault) => Self::NoMedia {
                group: fault.group,
                media: fault.name,
                project,
            },
            Fault::TooFewAccounts(fault) => Self::TooFewAccounts {
                group: fault.group,
                pool: fault.pool,
                project,
                needed: fault.needed,
                total: fault.total,
                free: fault.free,
                in_use: fault.in_use,
                runs: fault
                    .runs
                    .iter()
                    .map(|run| Ok::<_, DecodeError>(RunId::from_bytes(fixed("run", run)?)))
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}
