//! The defects of notices.

use tokenkeeper::{ChangeNotices, Error, Order, async_trait};

use super::meeting::Meeting;
use super::{Broken, Defect};

impl Broken {
    pub(super) fn listen(&self) -> Option<Box<dyn ChangeNotices>> {
        match self.defect {
            Defect::NeverNotices | Defect::NoticesNoDeletes | Defect::NoticesInventedOrders => {}
            _ => return None, // most storages have none
        }
        let heard = self.noticed.so_far();
        Some(Box::new(Notices { defect: self.defect, noticed: self.noticed.clone(), heard }))
    }
}

#[derive(Debug)]
struct Notices {
    defect: Defect,
    noticed: Meeting,
    heard: u64,
}

#[async_trait]
impl ChangeNotices for Notices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        if self.defect == Defect::NeverNotices {
            std::future::pending::<()>().await;
        }
        while !self.noticed.more_than(self.heard).await {}
        self.heard = self.noticed.so_far();
        let invents = self.defect == Defect::NoticesInventedOrders;
        Ok(invents.then(|| Order::new(u64::MAX, 0)))
    }
}
