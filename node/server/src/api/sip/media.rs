//! Media files.

use bytes::Bytes;
use reeve_proto::v1;
use reeve_state::command::{Command, DeleteMedia, ObjectKind, PutMedia};
use reeve_state::definition::MAX_MEDIA_BYTES;
use reeve_state::id::ScopedName;

use super::super::page::PageRequest;
use super::super::write::Asked;
use super::super::{Api, Call};
use super::{after, not_found, page_key};
use crate::convert::sip;
use crate::error::ApiError;
use crate::media;

impl Api {
    /// Stores a media file on most nodes, and then under its name.
    pub async fn put_media(
        &self,
        mut request: v1::PutMediaRequest,
        call: &Call,
    ) -> Result<v1::PutMediaResponse, ApiError> {
        let asked = Asked::new("PutMedia", std::mem::take(&mut request.request_id), &request)?;
        let key = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.name);
        let data = Bytes::from(request.content);
        let bytes = data.len() as u64;
        if bytes > MAX_MEDIA_BYTES {
            let rule = format!("at most {MAX_MEDIA_BYTES} bytes, found {bytes}");
            return Err(ApiError::invalid("content", rule));
        }
        let duration_ms = media::check(&data).map_err(|rule| ApiError::invalid("content", rule))?;
        let sha256 = media::hash(&data);
        media::spread(&self.context, sha256, data).await?;
        let command = Command::PutMedia(PutMedia {
            key: key.clone(),
            sha256,
            bytes,
            duration_ms,
        });
        let written = self.write(call, asked, command).await?;
        let row = written.state.media_file(&key);
        let row = row.ok_or_else(|| not_found(ObjectKind::Media, &key.name))?;
        Ok(v1::PutMediaResponse {
            media: Some(sip::media(row)),
            created: written.created,
        })
    }

    /// Media files by project and name.
    pub async fn list_media(
        &self,
        request: v1::ListMediaRequest,
        call: &Call,
    ) -> Result<v1::ListMediaResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("media project={}", request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = after(&page)?;
        let state = self.read(request.consistency, call).await?;
        scope.must_exist(&state)?;
        let rows = state
            .media_files()
            .skip_while(|row| after.as_ref().is_some_and(|after| row.key <= *after))
            .filter(|row| scope.shows(&row.key.project));
        let (rows, next_page_token) = page.take(rows, |row| page_key(&row.key));
        Ok(v1::ListMediaResponse {
            media: rows.into_iter().map(|row| sip::media(row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Deletes a media file that no active run uses. Its bytes stay where they are: another name may have the same.
    pub async fn delete_media(
        &self,
        mut request: v1::DeleteMediaRequest,
        call: &Call,
    ) -> Result<v1::DeleteMediaResponse, ApiError> {
        let asked = Asked::new("DeleteMedia", std::mem::take(&mut request.request_id), &request)?;
        let key = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.name);
        self.write(call, asked, Command::DeleteMedia(DeleteMedia { key }))
            .await?;
        Ok(v1::DeleteMediaResponse {})
    }
}
