//! Tokens of workers that nobody starts: shown to nodes by whoever has one, also after it was replaced.

use rand::Rng;
use rand::seq::SliceRandom;

use super::Client;
use super::common::Token;
use super::gateway::{self, Way};
use crate::history::op::{F, Input, Output};

impl Client {
    /// One of the tokens that the worker has or had, at some node.
    pub(super) async fn use_a_token(&mut self, worker: &str) {
        let tokens = self.common.tokens(worker);
        if tokens.is_empty() {
            return self.shared(F::CreateWorker, worker).await;
        }
        let token = tokens[self.rng.random_range(0..tokens.len())].clone();
        let node = self.any_node();
        self.show(node, worker, &token).await;
    }

    /// Another token for the worker; then at once the old one and the new one on every node.
    pub(super) async fn race(&mut self, worker: &str) {
        let Some(old) = self.common.tokens(worker).pop() else {
            self.shared(F::CreateWorker, worker).await;
            // Somebody created it and never got the answer.
            return self.shared(F::RegenerateToken, worker).await;
        };
        self.shared(F::RegenerateToken, worker).await;
        let new = self.common.tokens(worker).pop();
        let mut nodes: Vec<usize> = (0..self.nodes.len()).collect();
        nodes.shuffle(&mut self.rng);
        for node in nodes {
            self.show(node, worker, &old).await;
            if let Some(new) = new.as_ref().filter(|new| new.request != old.request) {
                self.show(node, worker, new).await;
            }
        }
    }

    async fn show(&mut self, node: usize, worker: &str, token: &Token) {
        let way = if self.rng.random() {
            Way::Session
        } else {
            Way::Evidence
        };
        let input = Input {
            token: Some(token.request.clone()),
            ..Input::default()
        };
        let called = self
            .recorder
            .call(F::UseToken, format!("worker/{worker}"), input, node);
        let to = self.nodes[node].clone();
        match gateway::show(to, way, &token.secret, self.rng.random()).await {
            Ok(accepted) => {
                let out = Output {
                    accepted: Some(accepted),
                    status: Some(way.name().to_owned()),
                    ..Output::default()
                };
                self.recorder.ok(called, out, None);
            }
            Err(status) => self.recorder.error(called, &status),
        }
    }
}
