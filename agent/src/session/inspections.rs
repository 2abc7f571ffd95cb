//! Questions about the host: each is answered once, beside everything else. Answering changes nothing on the host.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::{schema, v1};
use syncferry_shared::inventory::{InspectionRequest, Inventory};
use syncferry_shared::watch::WatchReport;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::controller::Controller;

/// How many questions are answered at once.
const AT_ONCE: usize = 4;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(180);
/// How often an answer is sent that nobody takes.
const SENDS: u32 = 5;

/// Looks at the host.
#[async_trait]
pub trait Inspect: Send + Sync + 'static {
    /// What was asked for. What could not be looked at is in the inventory's problems.
    async fn inspect(&self, request: &InspectionRequest) -> Inventory;
    /// What is watched. What could not be seen says so.
    async fn watch(&self, duty: &v1::WatchDuty) -> WatchReport;
}

/// The questions that are being answered.
pub(crate) struct Inspections {
    inspect: Arc<dyn Inspect>,
    controller: Arc<dyn Controller>,
    taken: Mutex<BTreeSet<String>>,
    slots: Semaphore,
    tasks: TaskTracker,
}

impl Inspections {
    /// Nobody asked yet.
    pub(crate) fn new(inspect: Arc<dyn Inspect>, controller: Arc<dyn Controller>) -> Arc<Self> {
        Arc::new(Self {
            inspect,
            controller,
            taken: Mutex::new(BTreeSet::new()),
            slots: Semaphore::new(AT_ONCE),
            tasks: TaskTracker::new(),
        })
    }

    /// Takes what is asked now. A question is forgotten when the controller does not list it any more.
    pub(crate) fn take(self: &Arc<Self>, asked: Vec<v1::Inspection>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|id| asked.iter().any(|i| i.inspection_id == *id));
        for inspection in asked {
            if taken.insert(inspection.inspection_id.clone()) {
                let me = Arc::clone(self);
                self.tasks.spawn(async move { me.answer(inspection).await });
            }
        }
    }

    async fn answer(&self, inspection: v1::Inspection) {
        // Nobody closes the semaphore.
        let _slot = self.slots.acquire().await;
        let id = inspection.inspection_id;
        let (inventory, error) = match self.look(inspection.request).await {
            Ok(inventory) => (Some(v1::Document::of(schema::INVENTORY, &inventory)), String::new()),
            Err(error) => (None, error),
        };
        let report = v1::ReportInspectionRequest {
            inspection_id: id.clone(),
            inventory,
            error,
        };
        for n in 1..=SENDS {
            match self.controller.report_inspection(report.clone()).await {
                Ok(_) => return,
                Err(e) if e.is_passing() && n < SENDS => tokio::time::sleep(Duration::from_secs(u64::from(n))).await,
                Err(e) => {
                    tracing::warn!(inspection = %id, "the answer to a question about this host was not taken: {e}")
                }
            }
        }
        // Asked again by the next pull, if it still matters.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    async fn look(&self, request: Option<v1::Document>) -> Result<Inventory, String> {
        let request = request.ok_or("the question is empty")?;
        let request: InspectionRequest = request.read(schema::INSPECTION_REQUEST).map_err(|e| e.to_string())?;
        tokio::time::timeout(LIMIT, self.inspect.inspect(&request))
            .await
            .map_err(|_| format!("looking at the host took longer than {} s", LIMIT.as_secs()))
    }
}
