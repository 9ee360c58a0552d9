//! Every route of the API: a path, a method and its handler.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use super::{
    AppState, audit, events, incidents, jobs, lists, live, openapi, operate, pending, rules,
    silences, targets,
};

/// What answers requests with a method and a path.
struct Route {
    path: &'static str,
    /// In lower case, as in the document.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the document is compared with it")
    )]
    method: &'static str,
    handler: MethodRouter<Arc<AppState>>,
}

/// A router with all of them.
pub(super) fn router() -> Router<Arc<AppState>> {
    let routes = routes().into_iter();
    routes.fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    })
}

/// All routes. `crates/service/openapi.json` describes them; a test compares both.
fn routes() -> Vec<Route> {
    vec![
        get("/openapi.json", openapi::openapi),
        post("/events", events::post),
        get("/events", events::get),
        get("/healthz", operate::healthz),
        get("/readyz", operate::readyz),
        get("/metrics", operate::metrics),
        get("/status", operate::status),
        post("/reload", operate::reload),
        post("/clock/accept", operate::accept_clock),
        // The name before.
        post("/clock/confirm", operate::accept_clock),
        get("/targets", targets::list),
        post("/targets/{name}/pause", targets::pause),
        post("/targets/{name}/resume", targets::resume),
        post("/targets/{name}/test", targets::test),
        delete("/rules/{name}/state", rules::forget),
        get("/pending", pending::list),
        get("/pending/{rule}/{key}", pending::show),
        post("/pending/{rule}/{key}/close", pending::close),
        get("/incidents", incidents::list),
        get("/incidents/{id}", incidents::show),
        post("/incidents/{id}/ack", incidents::acknowledge),
        post("/incidents/{id}/close", incidents::close),
        get("/silences", silences::list),
        post("/silences", silences::add),
        post("/silences/preview", silences::preview),
        get("/silences/{id}", silences::show),
        post("/silences/{id}/end", silences::end),
        get("/live", live::live),
        get("/trace/{event}", operate::trace_event),
        get("/outbox", lists::outbox),
        post("/outbox/cancel", jobs::cancel),
        get("/outbox/{id}", operate::delivery),
        post("/outbox/{id}/cancel", operate::cancel),
        get("/dlq", lists::dead_letters),
        post("/dlq/redrive", jobs::redrive),
        post("/dlq/drop", jobs::drop_dead_letters),
        delete("/dlq/{id}", operate::drop_dead_letter),
        post("/dlq/{id}/redrive", operate::redrive),
        get("/jobs", jobs::list),
        get("/audit", audit::list),
    ]
}

fn get<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<AppState>>) -> Route {
    Route {
        path,
        method: "get",
        handler: routing::get(handler),
    }
}

fn post<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<AppState>>) -> Route {
    Route {
        path,
        method: "post",
        handler: routing::post(handler),
    }
}

fn delete<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<AppState>>) -> Route {
    Route {
        path,
        method: "delete",
        handler: routing::delete(handler),
    }
}

#[cfg(test)]
mod tests {
    use reflexarc_event::Json;

    use super::*;

    #[test]
    fn the_document_has_exactly_these_routes() {
        let document = Json::parse(openapi::DOCUMENT).unwrap();
        let Some(Json::Object(paths)) = document.get("paths") else {
            panic!("no paths")
        };
        let methods = paths.iter().flat_map(|(path, methods)| {
            let Json::Object(methods) = methods else {
                panic!("{path} has no methods")
            };
            let named = move |(method, _): &(String, Json)| format!("{method} {path}");
            methods.iter().map(named)
        });
        let mut documented: Vec<String> = methods.collect();
        let routes = routes().into_iter();
        let routes = routes.map(|route| format!("{} {}", route.method, route.path));
        let mut routes: Vec<String> = routes.collect();
        documented.sort();
        routes.sort();
        assert_eq!(documented, routes);
    }
}
