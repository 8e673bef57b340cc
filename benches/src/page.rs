//! `zk-bench report`: a page with tables and plots, out of the JSON lines of all runs. What people wrote around it stays.
//!
//! Must not know how anything was measured.

mod goals;
mod plots;
mod runs;
mod sections;
mod tables;

use crate::{args::ReportArgs, error::Failure, report};
use runs::Run;
use std::{fs, path::Path};

/// What stands between these is made here; all else is the reader's.
const BEGIN: &str = "<!-- zk-bench report: begin. Made by `zk-bench report`; write outside of these marks. -->";
const END: &str = "<!-- zk-bench report: end -->";

pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let runs = runs::read(&args.results)?;
    if runs.is_empty() {
        return Err(Failure::Usage("there are no JSON lines in the folder of results"));
    }
    let beside = link(&args.page, &args.results);
    let made = runs.iter().map(|run| section(run, &args.results, &beside)).collect::<Result<Vec<_>, _>>()?;
    let page = fs::read_to_string(&args.page).unwrap_or_default();
    let page = replaced(&page, &format!("{}\n{}", goals::tables(&runs), made.join("\n")))?;
    fs::write(&args.page, page).map_err(Failure::io(format!("write {}", args.page.display())))?;
    report::tell(&format!("{} runs on {}", runs.len(), args.page.display()));
    Ok(())
}

fn section(run: &Run, results: &Path, beside: &str) -> Result<String, Failure> {
    let (text, plots) = sections::section(run)?;
    let mut lines = vec![text];
    for plot in plots {
        let name = format!("{}-{}.svg", run.name, plot.what);
        let path = results.join(&name);
        fs::write(&path, &plot.svg).map_err(Failure::io(format!("write {}", path.display())))?;
        lines.push(format!("![{}]({beside}{name})\n", plot.title));
    }
    Ok(lines.join("\n"))
}

/// How the page names the folder of results: relative where it is below the page's own.
fn link(page: &Path, results: &Path) -> String {
    let folder = page.parent().unwrap_or_else(|| Path::new(""));
    let below = results.strip_prefix(folder).unwrap_or(results).to_string_lossy();
    if below.is_empty() { String::new() } else { format!("{below}/") }
}

/// The page with its middle replaced; a page without marks gets them at its end.
fn replaced(page: &str, made: &str) -> Result<String, Failure> {
    let middle = format!("{BEGIN}\n\n{made}\n{END}");
    let Some((before, rest)) = page.split_once(BEGIN) else {
        let page = page.trim_end();
        return Ok(if page.is_empty() { format!("{middle}\n") } else { format!("{page}\n\n{middle}\n") });
    };
    let (_, after) =
        rest.split_once(END).ok_or(Failure::Usage("the page has a mark of the beginning and none of the end"))?;
    Ok(format!("{before}{middle}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        let once = replaced("# Title\n\nby hand\n", "one").unwrap();
        assert!(once.starts_with("# Title\n\nby hand\n\n<!--") && once.contains("\none\n"), "{once}");
        let edited = format!("{once}\nmore by hand\n");
        let twice = replaced(&edited, "two").unwrap();
        assert!(twice.contains("by hand") && twice.ends_with("\nmore by hand\n"), "{twice}");
        assert!(twice.contains("\ntwo\n") && !twice.contains("\none\n"), "{twice}");
        assert_eq!(replaced(&twice, "two").unwrap(), twice);
        assert!(replaced(BEGIN, "x").is_err());
    }

    #[test]
    fn plots_are_linked_from_where_the_page_is() {
        assert_eq!(link(Path::new("a/R.md"), Path::new("a/results")), "results/");
        assert_eq!(link(Path::new("R.md"), Path::new("x/y")), "x/y/");
        assert_eq!(link(Path::new("/a/R.md"), Path::new("/a")), "");
    }

    /// Every kind of run, as its command writes it, gives a table and a plot.
    #[test]
    fn a_page_has_a_section_for_each_file() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in runs::samples() {
            fs::write(folder.path().join(format!("{name}.jsonl")), text).unwrap();
        }
        let (results, page) = (folder.path().to_owned(), folder.path().join("R.md"));
        run(&ReportArgs { results, page: page.clone() }).unwrap();
        let text = fs::read_to_string(page).unwrap();
        for (name, _) in runs::samples() {
            assert!(text.contains(&format!("### {name}")), "{name}: {text}");
            let plot =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert!(
                plot.into_iter().any(|file| file.starts_with(name) && file.ends_with(".svg")),
                "{name} has no plot"
            );
        }
        assert!(text.contains("| ours / floor | 2.00 |"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }
}
