//! What Batch keeps: what jobs are described by, and what it knows of its jobs beyond their rows in
//! the table of jobs. One file a table.

mod definitions;
mod follow;
mod job;
mod list;
mod resources;
mod service_jobs;
mod submit;

use bessemer_domain::{Asked, BatchToDo, JobId};

pub(crate) use follow::follow;

pub use definitions::{BatchDefinition, BatchDefinitionQuery};
pub use job::{BatchArray, BatchJob};
pub use list::{BatchJobPage, BatchJobQuery};
pub use resources::{BatchResource, BatchResourceKind};
pub use service_jobs::BatchServiceJob;
pub use submit::{NewBatchBody, NewBatchJob};

use crate::{
    error::StoreError,
    jobs::{Job, QuotaCheck},
    store::Store,
    tags::Tag,
};

/// The tables of Batch.
pub struct BatchTable<'s>(pub(crate) &'s Store);

impl BatchTable<'_> {
    /// Puts jobs in place, all or none, if the quotas have room for all of them. Those that depend
    /// on others that have not ended are held. Returns the rows of those that are no arrays.
    pub async fn submit(
        &self,
        jobs: Vec<NewBatchJob>,
        quotas: Vec<QuotaCheck>,
        now: u64,
    ) -> Result<Vec<Job>, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move { submit::submit(conn, &jobs, &quotas, now).await })
        });
        write.await
    }

    /// Notes that somebody wants job `id`, and its children, to end, and why. Those about which
    /// nothing can be done stay as they are. None if there is no such job.
    pub async fn ask(
        &self,
        id: &str,
        asked: Asked,
        reason: &str,
    ) -> Result<Option<()>, StoreError> {
        let (id, reason) = (id.to_owned(), reason.to_owned());
        let write = self.0.write(move |conn| {
            Box::pin(async move { follow::ask(conn, &id, asked, &reason).await })
        });
        write.await
    }

    /// The jobs about which something is to be done, longest known first.
    pub async fn to_do(&self, limit: u32) -> Result<Vec<(JobId, BatchToDo)>, StoreError> {
        list::to_do(self.0.readers(), limit).await
    }

    /// The job of that id.
    pub async fn get(&self, id: &str) -> Result<Option<BatchJob>, StoreError> {
        job::get(self.0.readers(), id).await
    }

    /// A page of the jobs that `query` is about.
    pub async fn list(&self, query: &BatchJobQuery) -> Result<BatchJobPage, StoreError> {
        list::page(self.0.readers(), query).await
    }

    /// Keeps something that jobs are described by, and its tags. Its name must be new for its kind.
    pub async fn create(&self, new: BatchResource, with: Vec<Tag>) -> Result<(), StoreError> {
        let write = self
            .0
            .write(move |conn| Box::pin(async move { resources::create(conn, &new, &with).await }));
        write.await
    }

    /// The resource of that name or ARN.
    pub async fn resource(
        &self,
        kind: BatchResourceKind,
        name: &str,
    ) -> Result<Option<BatchResource>, StoreError> {
        resources::get(self.0.readers(), kind, name).await
    }

    /// All resources of a kind, in the order that they were made in.
    pub async fn resources(
        &self,
        kind: BatchResourceKind,
    ) -> Result<Vec<BatchResource>, StoreError> {
        resources::list(self.0.readers(), kind).await
    }

    /// Keeps another document of the resource of that ARN.
    pub async fn update(&self, arn: &str, document: String) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move { resources::update(conn, &arn, &document).await })
        });
        write.await
    }

    /// Forgets the resource of that ARN, and its tags.
    pub async fn delete(&self, arn: &str) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        let write =
            self.0.write(move |conn| Box::pin(async move { resources::delete(conn, &arn).await }));
        write.await
    }

    /// Keeps the next revision of a job definition, whose ARN is `prefix`, the name and the revision.
    pub async fn register(
        &self,
        name: &str,
        prefix: &str,
        document: String,
        with: Vec<Tag>,
    ) -> Result<BatchDefinition, StoreError> {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        let write = self.0.write(move |conn| {
            Box::pin(
                async move { definitions::register(conn, &name, &prefix, document, &with).await },
            )
        });
        write.await
    }

    /// Makes the definition of that ARN one that nothing is submitted by.
    pub async fn deregister(&self, arn: &str) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        let write = self
            .0
            .write(move |conn| Box::pin(async move { definitions::deregister(conn, &arn).await }));
        write.await
    }

    /// A definition's revision, or its latest that is active.
    pub async fn definition(
        &self,
        name: &str,
        revision: Option<u32>,
    ) -> Result<Option<BatchDefinition>, StoreError> {
        definitions::get(self.0.readers(), name, revision).await
    }

    /// A page of definitions.
    pub async fn definitions(
        &self,
        query: &BatchDefinitionQuery,
    ) -> Result<Vec<BatchDefinition>, StoreError> {
        definitions::list(self.0.readers(), query).await
    }

    /// Keeps a service job, before its training job is there.
    pub async fn create_service_job(
        &self,
        job: BatchServiceJob,
        with: Vec<Tag>,
    ) -> Result<(), StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move { service_jobs::create(conn, &job, &with).await })
        });
        write.await
    }

    /// Forgets a service job whose training job was refused.
    pub async fn delete_service_job(&self, arn: &str) -> Result<(), StoreError> {
        let arn = arn.to_owned();
        let write = self
            .0
            .write(move |conn| Box::pin(async move { service_jobs::delete(conn, &arn).await }));
        write.await
    }

    /// Notes why somebody ended a service job.
    pub async fn end_service_job(&self, id: &str, reason: &str) -> Result<(), StoreError> {
        let (id, reason) = (id.to_owned(), reason.to_owned());
        let write = self.0.write(move |conn| {
            Box::pin(async move { service_jobs::end(conn, &id, &reason).await })
        });
        write.await
    }

    /// The service job of that id.
    pub async fn service_job(&self, id: &str) -> Result<Option<BatchServiceJob>, StoreError> {
        service_jobs::get(self.0.readers(), id).await
    }

    /// The service jobs of a queue, the latest first.
    pub async fn service_jobs(&self, queue: &str) -> Result<Vec<BatchServiceJob>, StoreError> {
        service_jobs::of_queue(self.0.readers(), queue).await
    }
}
