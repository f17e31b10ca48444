//! How what stands before a handler is put there: as axum's `from_fn`, without the copies and boxes that it makes of all
//! that is behind it with each request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::routing::Route;
use tower_layer::Layer;
use tower_service::Service;

/// What stands before a handler, or before all.
pub(crate) trait Before: Send + Sync + 'static {
    /// Answers a request, most often by what is behind.
    fn pass(self: Arc<Self>, request: Request, behind: Behind) -> impl Future<Output = Response> + Send;
}

/// What a request comes to next.
#[derive(Debug)]
pub(crate) struct Behind(Arc<Route>);

impl Behind {
    /// Its answer.
    pub(crate) async fn answer(self, request: Request) -> Response {
        let mut route = Route::clone(&self.0);
        match route.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The layer.
#[derive(Debug)]
pub(crate) struct Standing<B>(pub(crate) Arc<B>);

impl<B> Clone for Standing<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> Layer<Route> for Standing<B> {
    type Service = Stands<B>;

    fn layer(&self, route: Route) -> Stands<B> {
        Stands { before: self.0.clone(), route: Arc::new(route) }
    }
}

/// What the layer makes: it stands before one route.
#[derive(Debug)]
pub(crate) struct Stands<B> {
    before: Arc<B>,
    route: Arc<Route>,
}

impl<B> Clone for Stands<B> {
    fn clone(&self) -> Self {
        Self { before: self.before.clone(), route: self.route.clone() }
    }
}

impl<B: Before> Service<Request> for Stands<B> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // So is every route.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.before.clone().pass(request, Behind(self.route.clone()));
        Box::pin(async { Ok(answer.await) })
    }
}
