//! What a screen asks of an epoch, and what it draws from: the rows that it shows, and some around them,
//! out of all rows.

use std::{collections::HashSet, sync::Arc};

use crate::{
    base::{
        counters::Accounts,
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    capture::source::SourceStatus,
    names::reverse_dns::ResolverCounts,
    process::{listening::Listening, lookup::OwnerStatus},
    query::{
        census::{Census, Spread},
        column::ServiceName,
        filter::eval::{Filter, Neighbours},
        group::{GroupRequest, GroupView},
        kept::Kept,
        shares::Share,
        sort::Sort,
        watch::{Firing, Watch},
    },
    snapshot::{
        history::History,
        row::Row,
        view::{StageStatus, Totals},
    },
};

/// Which row is the selected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// Whichever is first: nobody has chosen yet.
    #[default]
    First,
    /// Whichever is last: the newest.
    Last,
    /// The one at this place, from 0.
    At(usize),
    /// This one, wherever it stands.
    On(FlowId),
}

/// Whether connections of this host with itself are rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Localhost {
    /// They are.
    #[default]
    Show,
    /// They are counted only.
    Hide,
}

/// What a screen wants to see.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The selected row.
    pub cursor: Cursor,
    /// Rows wanted on either side of it.
    pub margin: usize,
    /// Connections of this host with itself.
    pub localhost: Localhost,
    /// The selected row as last seen: it keeps its place if it has ended.
    pub keep: Option<Kept>,
    /// Which flows; `None` for all.
    pub filter: Option<Arc<Filter>>,
    /// In which order.
    pub sort: Sort,
    /// Only these flows.
    pub only: Option<Arc<HashSet<FlowId>>>,
    /// Ended flows are rows too, from this number on.
    pub ended: Option<u64>,
    /// All is looked at as of the epoch in which this was first asked.
    pub frozen: bool,
    /// The order must be exact, although it is one of rates.
    pub exact: bool,
    /// The order must be exact at every epoch.
    pub undamped: bool,
    /// Names of services, which rows may be sorted and found by.
    pub services: Option<ServiceName>,
    /// Who is on which hardware address, where a filter needs it.
    pub neighbours: Arc<Neighbours>,
    /// Sums by host or process that are wanted.
    pub group: Option<GroupRequest>,
    /// Counts of states, protocols and round trips are wanted.
    pub census: bool,
    /// What is watched for.
    pub watches: Arc<Vec<Watch>>,
    /// Changes whenever the set of rows or their order does: with `localhost`, `filter`, `sort`,
    /// `only`, `ended` and `services`.
    pub serial: u64,
}

/// An epoch that was frozen.
#[derive(Clone, Copy, Debug)]
pub struct FrozenAt {
    /// Its wall time.
    pub wall: Stamp,
    /// Flows that began since.
    pub new: u64,
}

/// What an epoch that is not shown has to tell.
#[derive(Clone, Debug, Default)]
pub struct Between {
    /// Engine time of its cut.
    pub now: Nanos,
    /// Which watches fire, in their order.
    pub firing: Vec<Option<Firing>>,
    /// What a row moved in the last second, towards Local and towards Remote.
    pub moved: Option<(FlowId, [f64; 2])>,
}

/// What a screen draws from; owns everything and holds no snapshot.
#[derive(Clone, Debug)]
pub struct View {
    /// The epoch it shows.
    pub epoch: Epoch,
    /// The cursor that was asked for.
    pub cursor: Cursor,
    /// Engine time of its cut.
    pub now: Nanos,
    /// Wall time of its cut.
    pub wall: Stamp,
    /// Where every frame went.
    pub accounts: Accounts,
    /// Totals over all rows, hidden ones included.
    pub totals: Totals,
    /// The totals of the last hour.
    pub history: Arc<History>,
    /// Frames lost, and lost to the kernel alone.
    pub lost: u64,
    /// See `lost`.
    pub kernel_drops: u64,
    /// All frames that came by.
    pub seen: u64,
    /// Every capture source.
    pub sources: Vec<SourceStatus>,
    /// How owners are found.
    pub owner_method: OwnerStatus,
    /// What the system's resolver was asked, if the user has it asked for names.
    pub resolver: Option<ResolverCounts>,
    /// The source has no more frames.
    pub ended: bool,
    /// Every pinned stage.
    pub stages: Vec<StageStatus>,
    /// Epochs that were skipped because a reader held on to one.
    pub epochs_skipped: u64,
    /// The epoch that the rows are of, if it is not the newest.
    pub frozen: Option<FrozenAt>,
    /// What the answer is to: see [`Request::serial`].
    pub serial: u64,
    /// Who moves most, largest first.
    pub top: Vec<Share>,
    /// How round trips are spread, of many connections by a sample.
    pub round_trips: Spread,
    /// Sums by host or process.
    pub groups: Option<GroupView>,
    /// Counts of states, protocols and round trips.
    pub census: Option<Census>,
    /// Which watches fire, in their order.
    pub firing: Vec<Option<Firing>>,
    /// Rows of the window that a watch looks for.
    pub watched: HashSet<FlowId>,
    /// Sockets that wait for others; whoever asks for groups fills it in.
    pub listening: Arc<Vec<Listening>>,
    /// How long the answer took; whoever asks fills it in.
    pub took: Nanos,
    /// Number of the next flow that ends.
    pub ended_end: u64,
    /// Rows without a filter.
    pub all: usize,
    /// Rows that this order holds, a kept one that has ended not counted.
    pub len: usize,
    /// Rows that are hidden as localhost.
    pub hidden: usize,
    /// Those of them that would be rows of this order if such were shown.
    pub hidden_matched: usize,
    /// The place of the first of `rows`.
    pub first: usize,
    /// Rows in order.
    pub rows: Vec<Row>,
    /// The place of the selected row, which is among `rows`; `None` without rows.
    pub selected: Option<usize>,
    /// The kept row, if it has ended: it is the selected one.
    pub gone: Option<Kept>,
}

impl View {
    /// Returns the row at a place, if it is in the window.
    pub fn at(&self, place: usize) -> Option<&Row> {
        self.rows.get(place.checked_sub(self.first)?)
    }

    /// Returns the place of a row, if it is in the window.
    pub fn place_of(&self, id: FlowId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id).map(|n| n + self.first)
    }

    /// Returns the number of places: rows, and the one that has ended.
    pub fn places(&self) -> usize {
        self.len + usize::from(self.gone.is_some())
    }

    /// Returns whether the frames come from a file or a stream of one.
    pub fn is_file(&self) -> bool {
        self.sources.iter().any(|s| s.read.is_some())
    }
}
