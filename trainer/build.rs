//! Lets the programs and tests of this package find libtorch where it was linked from.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // `torch-sys` (links = "tch") names the folder; without the feature `torch` there is none.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
