//! The tasks that read the outbox and deliver.

use std::{sync::Arc, time::Duration};

use bessemer_config::{Notifications, Target};
use bessemer_domain::{Backoff, Clock};
use bessemer_store::{OutboxEvent, Store, StoreError};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    deliver::{Deliverer, DeliveryError},
    notification::Notification,
};

/// Events read at once.
const PAGE: u32 = 500;

/// How long between two tries of a write or read that the database refused.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for events when there is nothing else to do.
const FOREVER: Duration = Duration::from_hours(1);

/// How often old events are deleted, and how old they have to be, in milliseconds.
const TRIM_EVERY: Duration = Duration::from_hours(1);
const TRIM_AGE_MILLIS: u64 = 7 * 86_400_000;

/// The consumers of the outbox that targets are.
const PREFIX: &str = "notify:";

/// What notifications are delivered with.
pub struct NotifierOptions {
    /// Where events are.
    pub store: Store,
    /// The targets and the rules.
    pub settings: Notifications,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Delivers notifications as long as it is there.
pub struct Notifier {
    _tasks: JoinSet<()>,
}

impl Notifier {
    /// Begins to deliver. A target that is new hears of what ends from now on; one that is gone is
    /// forgotten.
    pub async fn start(options: NotifierOptions) -> Result<Self, StoreError> {
        let NotifierOptions { store, settings, clock } = options;
        let settings = Arc::new(settings);
        let names = settings.targets.iter().map(|target| consumer(&target.name)).collect();
        store.outbox().keep_only(PREFIX, names).await?;
        let mut tasks = JoinSet::new();
        for target in settings.targets.iter().cloned() {
            let position = store.outbox().join(&consumer(&target.name)).await?;
            let deliverer = Deliverer { allow_private: settings.allow_private.clone() };
            let (settings, clock, store) =
                (Arc::clone(&settings), Arc::clone(&clock), store.clone());
            let line = Line { store, settings, clock, target, deliverer };
            tasks.spawn(line.serve(position));
        }
        tasks.spawn(trim(store, clock));
        Ok(Self { _tasks: tasks })
    }
}

fn consumer(target: &str) -> String {
    format!("{PREFIX}{target}")
}

/// A target and what it needs.
struct Line {
    store: Store,
    settings: Arc<Notifications>,
    clock: Arc<dyn Clock>,
    target: Target,
    deliverer: Deliverer,
}

impl Line {
    async fn serve(self, mut position: i64) {
        let mut latest = self.store.outbox().latest();
        let mut noted = position;
        loop {
            latest.borrow_and_update();
            let events = loop {
                match self.store.outbox().after(position, PAGE).await {
                    Ok(events) => break events,
                    Err(StoreError::Closed) => return,
                    Err(error) => self.pause(&error).await,
                }
            };
            if events.is_empty() {
                // When nothing has come for a while, what was passed over is noted, too.
                let patience = if noted == position { FOREVER } else { PAUSE };
                match timeout(patience, latest.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        self.note(position).await;
                        noted = position;
                    }
                }
            }
            for event in events {
                let is_told = self.tell(&event).await;
                position = event.seq;
                // What was passed over is passed over again by the next server.
                if is_told || position - noted >= i64::from(PAGE) {
                    self.note(position).await;
                    noted = position;
                }
            }
        }
    }

    async fn note(&self, position: i64) {
        let consumer = consumer(&self.target.name);
        while let Err(error) = self.store.outbox().done(&consumer, position).await {
            if matches!(error, StoreError::Closed | StoreError::Fatal) {
                return;
            }
            self.pause(&error).await;
        }
    }

    async fn pause(&self, error: &StoreError) {
        tracing::warn!(target = %self.target.name, %error, "notifications wait for the database");
        sleep(PAUSE).await;
    }

    /// Delivers what an event tells of, if a rule says so, until it is delivered or given up.
    async fn tell(&self, event: &OutboxEvent) -> bool {
        let notification = loop {
            match Notification::of(&self.store, event).await {
                Ok(found) => break found,
                Err(StoreError::Closed) => return false,
                Err(error) => self.pause(&error).await,
            }
        };
        let Some(notification) = notification else { return false };
        if !notification.is_for(&self.target, &self.settings) {
            return false;
        }
        let (target, job) = (self.target.name.as_str(), notification.name.as_str());
        let give_up = u64::try_from(self.settings.give_up_after.as_millis()).unwrap_or(u64::MAX);
        let give_up_at = event.at.saturating_add(give_up);
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_mins(5) };
        let mut tries = 0;
        loop {
            let now = self.clock.now_millis();
            match self.deliverer.deliver(&self.target, &notification, now).await {
                Ok(()) => {
                    let outcome = notification.outcome.as_str();
                    tracing::info!(target, job, outcome, "a notification was delivered");
                    return true;
                }
                Err(DeliveryError::Refused(why)) => {
                    tracing::error!(target, job, why, "a notification can't be delivered");
                    return true;
                }
                Err(DeliveryError::Failed(why)) if self.clock.now_millis() >= give_up_at => {
                    tracing::error!(target, job, why, "a notification is given up");
                    return true;
                }
                Err(DeliveryError::Failed(why)) => {
                    tracing::warn!(target, job, why, "a notification will be tried again");
                    sleep(backoff.delay(tries, 1.0)).await;
                    tries = tries.saturating_add(1);
                }
            }
        }
    }
}

/// Deletes old events that every consumer is done with.
async fn trim(store: Store, clock: Arc<dyn Clock>) {
    loop {
        let before = clock.now_millis().saturating_sub(TRIM_AGE_MILLIS);
        match store.outbox().trim(before).await {
            Ok(_) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "old events can't be deleted for now"),
        }
        sleep(TRIM_EVERY).await;
    }
}
