//! Makes every page from small data with the built programs, takes screenshots of it, and looks for
//! violations of accessibility rules with axe-core in headless Chromium.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::{WITHOUT_TORCH, WITHOUT_TRACT, cargo, root, run, said};

/// Make each page, take screenshots at 1280 and 400 pixels, and run axe-core on it; fails if axe
/// finds a violation or a page is wider than its screen
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PagesCheck {
    /// Folder for the pages and screenshots; pages that are there already are made again
    #[arg(long, value_name = "DIR", default_value = "target/pages-check")]
    out: PathBuf,
    /// Check the pages of an earlier call as they are
    #[arg(long)]
    keep_pages: bool,
}

const AFTER_HELP: &str = "\
Needs Chromium and axe-core:
  apt-get install chromium
  npm install --prefix target/pages-check axe-core@4";

/// Pages below the folder, in the order in which they are made.
const PAGES: [&str; 4] = [
    "demo/demo.html",
    "run.html",
    "export/report.html",
    "sheet.svg",
];

/// Width in pixels, and whether the colours are dark.
const SCREENS: [(u32, bool); 3] = [(1280, false), (1280, true), (400, false)];

/// The highest screenshot, in pixels.
const MAX_HEIGHT: u64 = 12_000;

impl PagesCheck {
    pub(crate) fn run(&self) -> Result<()> {
        let chromium = said(Command::new("chromium").arg("--version"))
            .context("Chromium is missing: apt-get install chromium")?;
        let prefix = self.out.display();
        let axe = self.out.join("node_modules/axe-core/axe.min.js");
        let axe = fs::read_to_string(&axe).with_context(|| {
            format!("axe-core is missing: npm install --prefix {prefix} axe-core@4")
        })?;
        if !self.keep_pages {
            self.make()?;
        }
        eprintln!("{}", chromium.trim());
        let mut violations = 0;
        for page in PAGES {
            for (width, dark) in SCREENS {
                let found = self.check(page, &axe, width, dark)?;
                let scheme = if dark { "dark" } else { "light" };
                let name = format!("{page} at {width} px, {scheme}");
                println!("{name}: {} violations", found.len());
                found.iter().for_each(|violation| println!("  {violation}"));
                violations += found.len();
            }
        }
        ensure!(violations == 0, "{violations} violations");
        Ok(())
    }

    /// Runs the programs that write pages.
    fn make(&self) -> Result<()> {
        run(cargo(["build", "--locked"]).args(WITHOUT_TRACT))?;
        run(cargo(["build", "--locked"]).args(WITHOUT_TORCH))?;
        let out = |name: &str| self.out.join(name);
        let (reid, trainer) = (|| program("reid"), || program("trainer"));
        for left in ["demo", "export", "street"] {
            if out(left).exists() {
                fs::remove_dir_all(out(left))?;
            }
        }
        fs::create_dir_all(&self.out)?;
        let demo = out("demo");
        run(reid().arg("demo").arg("--out").arg(&demo))?;
        run(reid()
            .arg("run")
            .arg(demo.join("clip.avi"))
            .arg("--model")
            .arg(demo.join("person.onnx"))
            .arg("--boxes")
            .arg(demo.join("boxes.csv"))
            .arg("--report")
            .arg(out("run.html")))?;
        let street = out("street");
        let few = [
            "--identities",
            "24",
            "--cameras",
            "4",
            "--per-camera",
            "2",
            "--seed",
            "5",
        ];
        run(trainer().arg("synth").arg(&street).args(few))?;
        let sheet = ["--persons", "6", "--images", "8"];
        run(trainer()
            .args(["data", "sheet"])
            .arg(&street)
            .arg(out("sheet.svg"))
            .args(sheet))?;
        let small = [
            "--sensitivity",
            "--sensitivity-images",
            "4",
            "--max-map-drop",
            "0.5",
            "--resamples",
            "100",
        ];
        run(trainer()
            .args([
                "export",
                "--weights",
                "models/street-osnet_x0_25.safetensors",
                "--quantize",
            ])
            .arg("--calib")
            .arg(street.join("bounding_box_train"))
            .arg("--eval")
            .arg(&street)
            .arg("--out")
            .arg(out("person.onnx"))
            .arg("--report")
            .arg(out("export"))
            .args(small))
    }

    /// What axe-core has against a page on a screen; writes a screenshot beside the page.
    fn check(&self, page: &str, axe: &str, width: u32, dark: bool) -> Result<Vec<String>> {
        let page = root().join(&self.out).join(page);
        let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let is_picture = page.extension().is_some_and(|extension| extension == "svg");
        let text = match is_picture {
            true => format!(
                "<!doctype html><html lang=en><meta charset=utf-8><title>picture</title><main><h1>Picture</h1>{text}</main></html>"
            ),
            // The copy runs axe; the page itself runs no script.
            false => text.replace("http-equiv=\"Content-Security-Policy\"", "name=\"policy\""),
        };
        let beside = |name: &str| page.with_extension(name);
        let (copy, frame) = (beside("axe.html"), beside("frame.html"));
        fs::write(&copy, format!("{text}<script>{axe}</script>"))?;
        // Chromium has no window narrower than 500 pixels, but frames of any width.
        fs::write(
            &frame,
            FRAME
                .replace("WIDTH", &width.to_string())
                .replace("PAGE", &file_name(&copy)),
        )?;
        let answer = said(
            chromium(dark, &frame)?
                .arg("--virtual-time-budget=60000")
                .arg("--dump-dom"),
        )?;
        let json = answer
            .split_once("<pre id=\"found\">")
            .and_then(|(_, rest)| rest.split_once("</pre>"));
        let (json, _) =
            json.with_context(|| format!("{}: axe-core did not end", page.display()))?;
        let found: Value =
            serde_json::from_str(json).with_context(|| page.display().to_string())?;

        let scheme = if dark { "dark" } else { "light" };
        let picture = beside(&format!("{width}-{scheme}.png"));
        let height = found["height"].as_u64().unwrap_or(0).clamp(1, MAX_HEIGHT);
        run(chromium(dark, &frame)?
            .arg(format!("--window-size={},{height}", width.max(500)))
            .arg(format!("--screenshot={}", picture.display()))
            .stderr(std::process::Stdio::null()))?;
        let violations = found["violations"].as_array().context("axe gives a list")?;
        let mut violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let scroll = found["width"].as_u64().unwrap_or(0);
        if scroll > u64::from(width) && !is_picture {
            violations.push(format!("the page is {scroll} pixels wide"));
        }
        fs::remove_file(copy)?;
        fs::remove_file(frame)?;
        Ok(violations)
    }
}

/// Shows a page in a frame and writes what axe-core finds in it as JSON.
const FRAME: &str = r#"<!doctype html><html><body style="margin:0">
<iframe id="frame" src="PAGE" style="width:WIDTHpx;height:800px;border:0;display:block"></iframe><script>
frame.onload = async () => {
  const page = frame.contentDocument.documentElement;
  const size = { height: page.scrollHeight, width: page.scrollWidth };
  frame.style.height = size.height + "px";
  const { violations } = await frame.contentWindow.axe.run();
  const found = violations.map(v => ({ id: v.id, impact: v.impact, help: v.help,
    nodes: v.nodes.slice(0, 5).map(n => n.target.join(" ") + ": " + n.failureSummary) }));
  const pre = document.createElement("pre");
  pre.id = "found";
  pre.textContent = JSON.stringify({ ...size, violations: found })
    .replace(/[<>&]/g, letter => "\\u00" + letter.charCodeAt(0).toString(16));
  document.body.append(pre);
};
</script></body></html>"#;

/// Chromium on a file of this machine; without its sandbox, which does not work as root.
fn chromium(dark: bool, page: &Path) -> Result<Command> {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
    ]);
    // 0 is dark in Blink's enumeration, and 1 is light.
    command.arg(format!(
        "--blink-settings=preferredColorScheme={}",
        u8::from(!dark)
    ));
    command.arg(format!("file://{}", page.canonicalize()?.display()));
    Ok(command)
}

/// A program as `cargo build` leaves it.
fn program(name: &str) -> Command {
    Command::new(root().join("target/debug").join(name))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or(String::new(), |name| name.to_string_lossy().into_owned())
}
