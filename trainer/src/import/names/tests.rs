use network::tensor::Tensor;

use super::*;

/// Tensors of one number, and first convolutions.
fn weights(names: &[&str]) -> WeightFile {
    let tensor = |name: &str| match STEMS.iter().any(|stem| name.ends_with(stem)) {
        true => Tensor::zeros([8, 3, 7, 7]).unwrap(),
        false => Tensor::scalar(1.0),
    };
    let tensors = names.iter();
    WeightFile {
        tensors: tensors
            .map(|name| ((*name).to_owned(), tensor(name)))
            .collect(),
        ..WeightFile::default()
    }
}

#[test]
fn families_are_known_by_their_names_behind_any_prefix() {
    use NamingFamily::{FastReid, StrongBaseline, Torchreid, Torchvision};
    for (names, family, root, backbone) in [
        (&["conv1.weight", "fc.weight"][..], Torchvision, "", ""),
        (
            &["layer0.conv1.weight", "last_linear.bias"],
            Torchvision,
            "",
            "",
        ),
        (
            &["features.0.0.weight", "classifier.1.weight"],
            Torchvision,
            "",
            "",
        ),
        (&["stage0.rbr_dense.conv.weight"], Torchvision, "", ""),
        (
            &["encoder.conv1.weight", "other"],
            Torchvision,
            "encoder.",
            "",
        ),
        (
            &["base.conv1.weight", "bottleneck.weight"],
            StrongBaseline,
            "",
            "base.",
        ),
        (&["base.conv1.weight"], StrongBaseline, "", "base."),
        (
            &["module.base.conv1.weight", "module.classifier.weight"],
            StrongBaseline,
            "module.",
            "base.",
        ),
        (
            &["net.enc.model.conv1.weight", "net.bottleneck.weight"],
            StrongBaseline,
            "net.",
            "enc.model.",
        ),
        (
            &["model.conv1.weight", "model.bottleneck.weight"],
            StrongBaseline,
            "model.",
            "",
        ),
        (
            &["backbone.conv1.weight", "heads.weight"],
            FastReid,
            "",
            "backbone.",
        ),
        (
            &["model.backbone.conv1.weight", "model.pixel_mean"],
            FastReid,
            "model.",
            "backbone.",
        ),
        (
            &["backbone.conv1.weight", "bottleneck.weight"],
            StrongBaseline,
            "",
            "backbone.",
        ),
        (&["backbone.conv1.weight"], Torchvision, "backbone.", ""),
        (
            &["module.model.conv1.conv.weight"],
            Torchreid,
            "module.model.",
            "",
        ),
        (
            &[
                "base.conv1.conv.weight",
                "base.fc.0.weight",
                "criterion.center",
            ],
            Torchreid,
            "base.",
            "",
        ),
        (
            &["base.conv1.weight", "base.classifier.weight"],
            Torchreid,
            "base.",
            "",
        ),
        (&["conv1.weight", "classifier.weight"], Torchreid, "", ""),
        (&["conv1.weight", "fc.0.weight"], Torchreid, "", ""),
    ] {
        let found = recognise(&weights(names), None).unwrap();
        let found = (found.family, &found.root[..], &found.backbone[..]);
        assert_eq!(found, (family, root, backbone), "{names:?}");
    }
}

#[test]
fn of_several_networks_one_is_chosen() {
    let two = weights(&["q.conv1.weight", "q.fc.0.weight", "k.conv1.weight"]);
    let error = |weights: &WeightFile, chosen| recognise(weights, chosen).unwrap_err().to_string();
    let wanted = "2 networks, behind the prefixes `k.`, `q.`: choose one with --prefix";
    assert!(error(&two, None).contains(wanted), "{}", error(&two, None));
    for chosen in ["q", "q."] {
        let naming = recognise(&two, Some(chosen)).unwrap();
        assert_eq!(
            (naming.family, &naming.root[..]),
            (NamingFamily::Torchreid, "q.")
        );
        let other = NamePlace::Ignored("not below the chosen prefix");
        assert_eq!(naming.place("k.conv1.weight", false), other);
    }
    let none = "no known network behind `x.`";
    assert!(error(&two, Some("x")).contains(none));
    for names in [
        &["patch_embed.proj.weight"][..],
        &[],
        &["layer1.0.conv1.bias"],
    ] {
        let error = error(&weights(names), None);
        assert!(error.contains("neither ResNet"), "{names:?}: {error}");
    }
}

#[test]
fn what_no_embedding_passes_is_harmless_and_nothing_else() {
    let tensors: [(&str, &[usize]); 19] = [
        ("fc.weight", &[1000, 512]),
        ("fc.bias", &[1000]),
        ("base.linear.weight", &[128, 512]),
        ("classifier.weight", &[5, 512]),
        ("classifier.bias", &[5]),
        ("id_classifier.0.weight", &[5, 128]),
        ("id_classifier.1.weight", &[5, 128]),
        ("criterion.centers", &[5, 512]),
        ("module.triplet_loss.w", &[2]),
        ("optimizer.state.0.exp_avg", &[2]),
        ("lr_schedulers.0", &[2]),
        // An embedding between two layers, and one with a BatchNorm.
        ("deep.classifier.0.weight", &[128, 512]),
        ("deep.classifier.2.weight", &[5, 128]),
        ("wide.classifier.add_block.0.weight", &[512, 2048]),
        ("wide.classifier.classifier.0.weight", &[5, 512]),
        ("norm.classifier.0.weight", &[5, 512]),
        ("norm.classifier.0.running_var", &[5]),
        ("bottleneck.weight", &[512]),
        ("fc.3.weight", &[256, 512]),
    ];
    let weights = WeightFile {
        tensors: (tensors.iter())
            .map(|(name, shape)| ((*name).to_owned(), Tensor::zeros(*shape).unwrap()))
            .collect(),
        ..WeightFile::default()
    };
    for (index, (name, _)) in tensors.iter().enumerate() {
        let found = harmless(&weights, name, &weights.tensors[*name]);
        let wanted = index < 11 && *name != "base.linear.weight";
        assert_eq!(found.is_some(), wanted, "{name}: {found:?}");
    }
    let whole = Tensor::i64s(vec![1, 2]);
    assert!(harmless(&weights, "positions", &whole).is_some());
}

#[test]
fn every_tensor_has_its_place() {
    use NamingFamily::{FastReid, StrongBaseline, Torchreid, Torchvision};
    let ours = |name: &str| NamePlace::Ours(name.to_owned());
    for (family, theirs, embeds, wanted) in [
        (
            Torchvision,
            "layer1.0.bn1.running_var",
            false,
            ours("layer1.0.bn1.running_var"),
        ),
        (Torchvision, "fc.weight", false, ours("fc.weight")),
        (
            Torchvision,
            "bn1.num_batches_tracked",
            false,
            NamePlace::Ignored("a batch count, which is not used"),
        ),
        (
            StrongBaseline,
            "base.layer4.2.conv3.weight",
            false,
            ours("layer4.2.conv3.weight"),
        ),
        (
            StrongBaseline,
            "bottleneck.bias",
            false,
            ours("bottleneck.bias"),
        ),
        (StrongBaseline, "base.fc.0.weight", false, NamePlace::None),
        (
            FastReid,
            "backbone.NL_2.0.W.1.weight",
            false,
            ours("NL_2.0.W.1.weight"),
        ),
        (
            FastReid,
            "heads.bottleneck.0.running_mean",
            false,
            ours("bottleneck.running_mean"),
        ),
        (
            FastReid,
            "heads.bottleneck.0.weight",
            true,
            ours("embedding.weight"),
        ),
        (
            FastReid,
            "heads.bottleneck.1.bias",
            true,
            ours("bottleneck.bias"),
        ),
        (
            FastReid,
            "heads.bnneck.bias",
            false,
            ours("bottleneck.bias"),
        ),
        (FastReid, "heads.weight", false, ours("classifier.weight")),
        (
            FastReid,
            "heads.classifier.weight",
            false,
            ours("classifier.weight"),
        ),
        (FastReid, "heads.pool_layer.p", false, ours("pool.p")),
        (
            FastReid,
            "pixel_std",
            false,
            NamePlace::Ignored("pre-processing, kept as metadata"),
        ),
        (
            Torchreid,
            "fc.1.running_mean",
            false,
            ours("fc.1.running_mean"),
        ),
    ] {
        let backbone = match family {
            StrongBaseline => "base.",
            FastReid => "backbone.",
            _ => "",
        };
        let found = family.place(theirs, backbone, embeds);
        assert_eq!(found, wanted, "{theirs}");
    }
}
