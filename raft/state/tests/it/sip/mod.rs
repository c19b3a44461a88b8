//! SIP endpoints: the rules of their definitions, their resources, and which accounts a run gets.

mod accounts;
mod capacity;
mod definitions;
mod resources;
