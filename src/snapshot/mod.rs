//! What readers see: the published epoch, rows, totals. The only door to the engine's state.

pub mod app;
pub mod chunk_rows;
pub mod ended;
pub mod flow_view;
pub mod history;
pub mod publication;
pub mod row;
#[doc(hidden)]
pub mod sample;
pub mod side;
pub mod tap;
pub mod view;
pub mod wish;
