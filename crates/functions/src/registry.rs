//! [`Registry`]: all functions, layers and mappings, in memory as they are on disk.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use bessemer_store::{FunctionDocument, Store, StoreError, Tag};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{Mutex, MutexGuard};

use crate::{Function, FunctionsError, Layer, Mapping};

/// All functions and layers. What is changed is on disk before anybody sees it.
pub(crate) struct Registry {
    store: Store,
    functions: RwLock<BTreeMap<String, Arc<Function>>>,
    layers: RwLock<BTreeMap<String, Arc<Layer>>>,
    mappings: RwLock<BTreeMap<String, Arc<Mapping>>>,
    /// Held while something is changed.
    writes: Mutex<()>,
}

/// The right to change something.
pub(crate) struct Changes<'r> {
    registry: &'r Registry,
    _one: MutexGuard<'r, ()>,
}

impl Registry {
    pub(crate) async fn load(store: Store) -> Result<Self, StoreError> {
        let functions = read(&store, FunctionDocument::Function, "functions").await?;
        let layers = read(&store, FunctionDocument::Layer, "layers").await?;
        let mappings = read(&store, FunctionDocument::Mapping, "event_source_mappings").await?;
        Ok(Self {
            store,
            functions: RwLock::new(functions),
            layers: RwLock::new(layers),
            mappings: RwLock::new(mappings),
            writes: Mutex::default(),
        })
    }

    /// The function of that name.
    pub(crate) fn function(&self, name: &str) -> Option<Arc<Function>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All functions, by name.
    pub(crate) fn functions(&self) -> Vec<Arc<Function>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.values().cloned().collect()
    }

    /// The layer of that name.
    pub(crate) fn layer(&self, name: &str) -> Option<Arc<Layer>> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All layers, by name.
    pub(crate) fn layers(&self) -> Vec<Arc<Layer>> {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        layers.values().cloned().collect()
    }

    /// The mapping of that name.
    pub(crate) fn mapping(&self, uuid: &str) -> Option<Arc<Mapping>> {
        self.mappings.read().unwrap_or_else(PoisonError::into_inner).get(uuid).cloned()
    }

    /// All mappings, by name.
    pub(crate) fn mappings(&self) -> Vec<Arc<Mapping>> {
        let mappings = self.mappings.read().unwrap_or_else(PoisonError::into_inner);
        mappings.values().cloned().collect()
    }

    /// The names of all archives that something uses.
    pub(crate) fn used_code(&self) -> HashSet<String> {
        let functions = self.functions();
        let versions = functions.iter().flat_map(|function| function.all_versions());
        let of_functions = versions.flat_map(|version| {
            let layers = version.settings.layers.iter().map(|layer| &layer.code);
            layers.chain([&version.code]).map(|code| code.sha256.clone())
        });
        let layers = self.layers();
        let of_layers = layers.iter().flat_map(|layer| layer.versions.values());
        of_functions.chain(of_layers.map(|version| version.code.sha256.clone())).collect()
    }

    /// Waits until nobody else changes anything.
    pub(crate) async fn changes(&self) -> Changes<'_> {
        Changes { registry: self, _one: self.writes.lock().await }
    }
}

impl Changes<'_> {
    /// Keeps a function, with further tags.
    pub(crate) async fn put_function(
        &self,
        function: Function,
        tags: Vec<Tag>,
    ) -> Result<Arc<Function>, FunctionsError> {
        let table = self.registry.store.functions();
        let document = text(&function)?;
        let tags = (function.arn.as_str(), tags);
        table.put(FunctionDocument::Function, &function.name, document, tags).await?;
        let function = Arc::new(function);
        let mut functions = self.registry.functions.write().unwrap_or_else(PoisonError::into_inner);
        functions.insert(function.name.clone(), Arc::clone(&function));
        Ok(function)
    }

    /// Forgets a function.
    pub(crate) async fn delete_function(&self, function: &Function) -> Result<(), FunctionsError> {
        let table = self.registry.store.functions();
        table.delete(FunctionDocument::Function, &function.name, &function.arn).await?;
        let mut functions = self.registry.functions.write().unwrap_or_else(PoisonError::into_inner);
        functions.remove(&function.name);
        Ok(())
    }

    /// Keeps a layer.
    pub(crate) async fn put_layer(&self, layer: Layer) -> Result<Arc<Layer>, FunctionsError> {
        let table = self.registry.store.functions();
        let document = text(&layer)?;
        table.put(FunctionDocument::Layer, &layer.name, document, (&layer.arn, vec![])).await?;
        let layer = Arc::new(layer);
        let mut layers = self.registry.layers.write().unwrap_or_else(PoisonError::into_inner);
        layers.insert(layer.name.clone(), Arc::clone(&layer));
        Ok(layer)
    }

    /// Keeps a mapping, with further tags.
    pub(crate) async fn put_mapping(
        &self,
        mapping: Mapping,
        tags: Vec<Tag>,
    ) -> Result<Arc<Mapping>, FunctionsError> {
        let table = self.registry.store.functions();
        let document = text(&mapping)?;
        let tags = (mapping.arn.as_str(), tags);
        table.put(FunctionDocument::Mapping, &mapping.uuid, document, tags).await?;
        let mapping = Arc::new(mapping);
        let mut mappings = self.registry.mappings.write().unwrap_or_else(PoisonError::into_inner);
        mappings.insert(mapping.uuid.clone(), Arc::clone(&mapping));
        Ok(mapping)
    }

    /// Forgets a mapping.
    pub(crate) async fn delete_mapping(&self, mapping: &Mapping) -> Result<(), FunctionsError> {
        let table = self.registry.store.functions();
        table.delete(FunctionDocument::Mapping, &mapping.uuid, &mapping.arn).await?;
        let mut mappings = self.registry.mappings.write().unwrap_or_else(PoisonError::into_inner);
        mappings.remove(&mapping.uuid);
        Ok(())
    }
}

fn text(document: &impl Serialize) -> Result<String, FunctionsError> {
    serde_json::to_string(document).map_err(FunctionsError::internal)
}

async fn read<T: DeserializeOwned>(
    store: &Store,
    kind: FunctionDocument,
    table: &'static str,
) -> Result<BTreeMap<String, Arc<T>>, StoreError> {
    let documents = store.functions().all(kind).await?;
    let parse = |(name, document): (String, String)| {
        let parsed = serde_json::from_str(&document).map_err(|_| StoreError::BadRow {
            table,
            column: "document",
            id: name.clone(),
        })?;
        Ok((name, Arc::new(parsed)))
    };
    documents.into_iter().map(parse).collect()
}
