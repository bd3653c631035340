//! Both services as they are mounted in the product, each on a port of its own.

use crate::outside::vault;
use crate::{APP, PORTAL, PUBLIC, Setup};
use ::web::{Admission, Draining, Front, Sessions, Verifier, VerifierSettings, not_found_handler, observe};
use access::{LogDirectory, Witness};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use credentials::{Directory, NoDirectory, Refusals};
use email::{Links, Mailer};
use event_store::{CommandBus, Log, Store, StoreOptions};
use file_store::{Keeper, Places, Scanner};
use login::{Addresses, Login};
use objects::{ObjectStore, ObjectStoreOptions};
use projections::{Applied, Target};
use std::sync::Arc;
use testing::{AUDIENCE, ISSUER, Issuer, SmtpSink, TestDatabase, TestObjects, key_set, redis_url};

/// The product without its background: what happens there happens when a test says so.
pub struct TestApp {
    /// Its log and its read models.
    pub database: Arc<TestDatabase>,
    /// Every command, past HTTP.
    pub bus: CommandBus,
    /// Who may do what, as the log says.
    pub directory: LogDirectory,
    /// Who somebody is.
    pub verifier: Data<Verifier>,
    /// Where sessions are kept.
    pub sessions: Sessions,
    /// The pages of a login.
    pub login: Data<Login>,
    /// What writes emails, in rounds.
    pub mailer: Mailer,
    /// What inspects and takes away files, in rounds.
    pub keeper: Keeper,
    /// Where files are.
    pub objects: ObjectStore,
    /// Where emails come to.
    pub sink: SmtpSink,
    /// Who is in work at command-api and who waits.
    pub admission: Admission,
    /// Set when command-api is asked to stop.
    pub draining: Draining,
    /// Where command-api is.
    pub commands: String,
    /// Where query-api is.
    pub queries: String,
    /// Follows no redirects.
    pub http: reqwest::Client,
    pub(crate) issuer: Issuer,
    refusals: Refusals,
}

impl TestApp {
    /// As the product is set up.
    pub async fn new() -> Self {
        Self::start(Setup::default()).await
    }

    /// Set up otherwise.
    pub async fn start(setup: Setup) -> Self {
        runtime::install_crypto();
        let database = match setup.database {
            Some(database) => database,
            None => Arc::new(TestDatabase::create().await),
        };
        let (command, query, worker) = (database.command().await, database.query().await, database.worker().await);
        let directory = LogDirectory::start(query.clone());
        let options = StoreOptions {
            // One of its own: what a command past HTTP looks up is not what the services remember from then on.
            time_zones: Some(Arc::new(LogDirectory::start(query.clone()))),
            providers: Some(setup.providers.iter().map(|issuer| issuer.parse().unwrap()).collect()),
            ..StoreOptions::default()
        };
        let mut bus = CommandBus::new(Store::start(command.clone(), options));
        registry::mount_all(&mut bus);
        let issuer = Issuer::new("k");
        let keys = key_set(&[issuer.jwk()]);
        let settings = VerifierSettings::new(keys.display(), ISSUER, AUDIENCE);
        let asked: Arc<dyn Directory> =
            if setup.roles_in_tokens { Arc::new(NoDirectory) } else { Arc::new(directory.clone()) };
        let verifier = Data::new(Verifier::start(settings, asked).await.unwrap());
        let sessions = Sessions::connect(&redis_url(), setup.sessions).await.unwrap();
        let addresses =
            Addresses { public_url: PUBLIC.to_owned(), app_url: APP.to_owned(), portal_url: PORTAL.to_owned() };
        let login = Data::new(Login::new(bus.clone(), command, sessions.clone(), setup.login, addresses));
        let sink = SmtpSink::start().await;
        let links = Links {
            public_url: PUBLIC.to_owned(),
            provider: None,
            app_url: APP.to_owned(),
            portal_url: PORTAL.to_owned(),
        };
        let (log, store) = (Log::new(worker), bus.store().clone());
        let objects = store_of_files();
        let from = "UBOS <no-reply@ubos.example>";
        let mailer = Mailer::new(log, store, Some(objects.clone()), &sink.url(), from, links).unwrap();

        let log = Log::new(database.worker().await);
        let scanner = setup.scanner.as_deref().map(|url| Scanner::at(url).unwrap());
        let keeper = Keeper::new(log.clone(), bus.store().clone(), objects.clone(), scanner, setup.uploads_last);
        let papers = (log, bus.store().clone(), objects.clone());
        let keeper = keeper.with(|engine| {
            let engine = bill_files::add(engine, papers.1.clone(), papers.2.clone());
            invoice_papers::add(engine, papers.0, papers.1, papers.2)
        });

        let admission = Admission::new("command-api", setup.admission.clone());
        let places = Places::new(bus.store().clone(), objects.clone(), setup.uploads_last);
        let secrets = webhooks::Secrets::new(vault(&database.command().await));
        let api = command_api::Api::new(bus.clone(), setup.body, admission.clone());
        let api = api.telling(Arc::new(places)).telling(Arc::new(secrets));
        let refusals = api.refusals().clone();
        let (api, pages) = (Data::new(api), login.clone());
        let front = Data::new(Front::default());
        let draining = front.draining.clone();
        let commands = serve(verifier.clone(), front, move |config| {
            // First, because commands take every path that is left.
            login::configure(config, pages.clone());
            command_api::configure(config, api.clone());
        });
        let api = query_api::Api::new(query, setup.patience, Admission::new("query-api", setup.admission));
        let api = api.with_objects(objects.clone(), setup.downloads_last);
        let api = Data::new(api.knowing(bus.commands().map(|info| info.entry.name)));
        let kept = Data::new(sessions.clone());
        let queries = serve(verifier.clone(), Data::new(Front::default()), move |config| {
            config.app_data(kept.clone());
            query_api::configure(config, api.clone());
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self {
            database,
            bus,
            directory,
            verifier,
            sessions,
            login,
            mailer,
            keeper,
            objects,
            sink,
            admission,
            draining,
            commands,
            queries,
            http,
            issuer,
            refusals,
        }
    }

    /// Applies the whole log to the read models.
    pub async fn project(&self) {
        let pool = self.database.worker().await;
        let log = Log::new(pool.clone());
        for group in projections::groups() {
            catch_up(&log, &pool, group, 1_000).await;
        }
    }

    /// Writes down what was refused so far and which keys were used.
    pub async fn written_down(&self) {
        let pool = self.database.command().await;
        Witness::start(pool, Some(self.refusals.clone()), self.verifier.keys_in_use().clone()).stop().await;
    }

    /// A number that the database knows.
    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.superuser().await).await.unwrap()
    }
}

/// Applies the whole log to the live tables of a group in batches; answers how far that is.
pub(crate) async fn catch_up(log: &Log, pool: &sqlx::PgPool, group: &'static projections::Group, batch: i64) -> i64 {
    let target = Target::live(group);
    let mut at = target.position(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap();
    loop {
        let events: Vec<_> = log.read(at, batch).await.unwrap().into_iter().map(Arc::new).collect();
        if events.is_empty() {
            return at;
        }
        match target.apply(pool, &events).await.unwrap() {
            Applied::At(position) | Applied::Elsewhere(position) => at = position,
        }
    }
}

/// The store of files of this run.
fn store_of_files() -> ObjectStore {
    let TestObjects { url, bucket, access_key, secret_key } = TestObjects::new();
    let options = ObjectStoreOptions {
        endpoint: url,
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket,
        access_key: access_key.into(),
        secret_key: secret_key.into(),
        path_style: true,
    };
    ObjectStore::new(&options).unwrap()
}

/// Serves as `server` does; answers the base URL.
fn serve(
    verifier: Data<Verifier>,
    front: Data<Front>,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> String {
    let server = HttpServer::new(move || {
        let routes = routes.clone();
        App::new()
            .wrap(from_fn(observe))
            .app_data(verifier.clone())
            .app_data(front.clone())
            .configure(move |config| routes(config))
            .default_service(web::to(not_found_handler))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}
