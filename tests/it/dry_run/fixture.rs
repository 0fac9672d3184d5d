//! A simulator with the shipped catalogue.

use std::{path::PathBuf, sync::Arc, time::Duration};

use beamq::{
    catalogue::{Catalogue, shipped},
    dryrun::simulation::{Simulated, SimulationSettings, SimulationWish, Simulator},
    protocol::view::{DryRunReport, Finding},
};

/// A simulator in a folder of its own.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) simulator: Simulator,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) folders: Arc<[PathBuf]>,
}

impl Fixture {
    /// With the commands of the example instrument.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let commands = shipped::unpack(folder.path()).unwrap();
        let (catalogue, findings) = Catalogue::check(&shipped::texts());
        assert_eq!(findings, []);
        Self::of(folder, catalogue, commands)
    }

    /// With commands of one's own: the text of the catalogue and Python files by name.
    pub(crate) fn with(yaml: &str, python: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let commands = folder.path().join("commands");
        std::fs::create_dir(&commands).unwrap();
        for (name, text) in python {
            std::fs::write(commands.join(name), text).unwrap();
        }
        let (catalogue, findings) = Catalogue::check(&[("own.yaml".into(), yaml.to_owned())]);
        assert_eq!(findings, []);
        Self::of(folder, catalogue, commands)
    }

    fn of(folder: tempfile::TempDir, catalogue: Catalogue, commands: PathBuf) -> Self {
        let settings = settings(&folder.path().join("dryrun"));
        Self {
            simulator: Simulator::new(settings),
            catalogue: Arc::new(catalogue),
            folders: Arc::from([commands]),
            folder,
        }
    }

    pub(crate) fn wish(&self, source: &str) -> SimulationWish {
        let mut wish =
            SimulationWish::new(source, "script", Arc::clone(&self.catalogue), Arc::clone(&self.folders));
        // A simulation gives way to the other tests. Only what is about real time is bounded by it.
        wish.budget.real = Duration::from_secs(60);
        wish
    }

    pub(crate) async fn run(&self, source: &str) -> Simulated {
        self.simulator.simulate(self.wish(source)).await
    }

    /// The report of a script in which nothing bad is found.
    pub(crate) async fn good(&self, source: &str) -> DryRunReport {
        let report = self.run(source).await.report;
        assert!(report.ok && report.truncated.is_none(), "{report:#?}");
        report
    }
}

/// Settings with the interpreter of the tests and the program that confines.
pub(crate) fn settings(work_dir: &std::path::Path) -> SimulationSettings {
    let interpreter = std::env::var_os("BEAMQ_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    SimulationSettings {
        launcher: Some(env!("CARGO_BIN_EXE_beamq").into()),
        // Each gives way to whatever else runs; many together get on beside it.
        at_once: 8,
        ..SimulationSettings::new(interpreter, work_dir)
    }
}

/// The seconds that are expected in all.
pub(crate) fn expected(report: &DryRunReport) -> f64 {
    report.totals.seconds.expected.unwrap()
}

/// The codes of the findings with their lines.
pub(crate) fn codes(report: &DryRunReport) -> Vec<(String, Option<u32>)> {
    report.findings.iter().map(|finding: &Finding| (finding.code.clone(), finding.line)).collect()
}

/// Whether two times are the same but for rounding.
#[track_caller]
pub(crate) fn assert_close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-3, "{found} instead of {wanted}");
}
