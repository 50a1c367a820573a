"""Lead fields from files: each dialect gives back the head that it was made from, and each mistake its sentence."""

import warnings

import mne
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from hpsearch.data.heads import LeadFieldSettings, head_files, read_head, rigid_correlation
from hpsearch.data.lead_field import divide, load_lead_field
from hpsearch.errors import DataError, HpsearchError
from tests.own_heads import PADDING, REGIONS, cells, small_head, structures, write_head

HEAD = small_head()


def read(*, count=None, regions=None, **settings):
    return read_head(LeadFieldSettings(**settings), electrodes=count, regions=regions)


def same(found, expected=HEAD, *, tolerance=1e-9):
    np.testing.assert_allclose(found.gain, expected.gain, atol=tolerance * np.abs(expected.gain).max())
    np.testing.assert_allclose(found.centres, expected.centres, atol=1e-3)
    np.testing.assert_array_equal(found.neighbours, expected.neighbours)
    assert found.names.tolist() == expected.names.tolist()


def padded(value, *, base=1):
    rows = [np.flatnonzero(row) + base for row in HEAD.neighbours]
    full = np.full((REGIONS, max(map(len, rows))), value, dtype=float)
    for line, row in zip(full, rows, strict=True):
        line[: len(row)] = row
    return full


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fwd": HEAD.gain.T},
        {"nbs": cells(HEAD, base=0)},
        {"nbs": padded(PADDING)},
        {"nbs": padded(np.nan)},
        {"nbs": padded(0)},
        {"nbs": padded(-1, base=0)},
        {"nbs": HEAD.neighbours.astype(np.uint8)},
        {"nbs": csc_array(HEAD.neighbours.astype(float))},
        {"pos": HEAD.centres.T},
        {"fwd": (HEAD.gain[:, :, None] * HEAD.normals).reshape(16, -1)},
    ],
    ids=["cells", "turned", "from 0", "padded", "NaN", "0", "-1", "matrix", "sparse", "3 x N", "free"],
)
def test_a_lead_field_is_read_as_it_was_written(changes, tmp_path):
    found = read(**write_head(tmp_path, **changes))
    same(found)
    np.testing.assert_allclose(found.gain.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found.electrodes, axis=1), np.linalg.norm(HEAD.electrodes, axis=1))


def test_arrays_of_numpy_and_one_file_for_all(tmp_path):
    np.savez(
        tmp_path / "head.npz", gain=HEAD.gain, pos=HEAD.centres / 1000, adjacency=HEAD.neighbours, names=HEAD.names
    )
    same(read(path=str(tmp_path / "head.npz"), unit="m"))


def test_columns_of_vertices_become_those_of_regions(tmp_path):
    """As forward_prepare_lfd_matrix.m of DeepSIF: a region's dipoles have the same activity."""
    fine = load_lead_field(16, 128)
    edges = np.argwhere(np.triu(fine.neighbours))
    region = divide(fine.centres, edges, 64)[1]
    triangles = np.column_stack([edges, edges[:, 1]]) + 1
    parts = write_head(tmp_path, fwd=fine.gain, pos=fine.centres, ori=fine.normals, nbs=None)
    savemat(tmp_path / "regions.mat", {"rm": region[None] * 3 + 7, "tri": triangles})
    member = np.eye(64)[region]
    found = read(**parts, parcellation=str(tmp_path / "regions.mat"))
    np.testing.assert_allclose(found.gain, fine.gain @ member, atol=1e-12)
    vertices = [int(np.flatnonzero((fine.centres == centre).all(axis=1))[0]) for centre in found.centres]
    assert region[vertices].tolist() == list(range(64))
    touching = member.T @ fine.neighbours @ member > 0
    np.testing.assert_array_equal(found.neighbours, touching & ~np.eye(64, dtype=bool))


def test_without_a_list_the_nearest_touch(tmp_path):
    found = read(**write_head(tmp_path, nbs=None), nearest=4)
    distances = found.distances() + np.diag(np.full(REGIONS, np.inf))
    assert (found.neighbours.sum(axis=1) >= 4).all()
    assert np.array_equal(found.neighbours, found.neighbours.T)
    assert found.neighbours[np.arange(REGIONS), distances.argmin(axis=1)].all()


def test_fewer_regions_put_neighbours_together(tmp_path):
    found = read(**write_head(tmp_path), regions=32)
    assert found.gain.shape == (16, 32)
    np.testing.assert_allclose(found.gain.sum(axis=1), HEAD.gain.sum(axis=1), atol=1e-9)
    assert found.neighbours.any(axis=1).all()


@pytest.mark.parametrize("ending", [".fif", ".sfp", ".csv"])
def test_a_measured_montage_gives_rows_their_names(ending, tmp_path):
    positions = dict(zip(HEAD.names.tolist(), HEAD.electrodes / 1000, strict=True))
    place = tmp_path / f"electrodes-dig{ending}"
    if ending == ".fif":
        mne.channels.make_dig_montage(positions, coord_frame="head").save(
            tmp_path / "electrodes-dig.fif", verbose=False
        )
    else:
        between, first = (",", "ch_name,x,y,z\n") if ending == ".csv" else ("\t", "")
        rows = [between.join([name, *(f"{number:.5f}" for number in point)]) for name, point in positions.items()]
        place.write_text(first + "\n".join(rows) + "\n")
    parts = write_head(tmp_path) | {"electrodes": str(place)}
    same(read(**parts))


def test_a_standard_montage_places_named_electrodes(tmp_path):
    parts = write_head(tmp_path)
    del parts["electrodes"]
    found = read(**parts, montage="spherical_1005", names=tuple(HEAD.names.tolist()))
    same(found)
    assert rigid_correlation(found.electrodes, HEAD.electrodes) > 0.95
    assert read(**parts).names.tolist() == [f"E{row}" for row in range(1, 17)]


@pytest.fixture(scope="module")
def forward(tmp_path_factory):
    """MNE's own solution of the sphere for the sources of the small head, free and fixed."""
    from hpsearch.data import lead_field

    folder = tmp_path_factory.mktemp("forward")
    montage = mne.channels.make_standard_montage(lead_field._MONTAGE)
    to_head = mne.channels.compute_native_head_t(montage)
    names = [*HEAD.names.tolist(), "T9"]
    info = mne.create_info(names, 1000.0, "eeg").set_montage(montage)
    sphere = mne.make_sphere_model("auto", "auto", mne.pick_info(info, range(16)), verbose=False)
    points = mne.transforms.apply_trans(to_head, HEAD.centres / 1000)
    normals = mne.transforms.apply_trans(to_head, HEAD.normals, move=False)
    sources = mne.setup_volume_source_space(pos={"rr": points, "nn": normals}, verbose=False)
    free = mne.make_forward_solution(info, trans=None, src=sources, bem=sphere, meg=False, verbose=False)
    free = mne.pick_channels_forward(free, names[:-1], ordered=True, verbose=False)
    fixed = mne.convert_forward_solution(free, force_fixed=True, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a fixed solution is kept as the free one that it is from
        for name, solution in (("free", free), ("fixed", fixed)):
            mne.write_forward_solution(folder / f"{name}-fwd.fif", solution, verbose=False)
    return folder, points


@pytest.mark.parametrize("kind", ["free", "fixed"])
def test_a_forward_solution_of_mne_is_our_sphere(kind, forward):
    found = read(path=str(forward[0] / f"{kind}-fwd.fif"))
    np.testing.assert_allclose(found.gain, HEAD.gain, atol=1e-6 * np.abs(HEAD.gain).max())  # kept as 32-bit numbers
    np.testing.assert_allclose(found.centres, forward[1] * 1000, atol=1e-3)
    assert found.names.tolist() == HEAD.names.tolist()
    assert np.isfinite(found.electrodes).all()


SHIFTED = np.roll(np.arange(16), 8)
FLAT = np.where(np.arange(REGIONS) == 6, np.nan, HEAD.gain)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"pos": HEAD.centres / 1000}, {}, r"extend over 0\.\d+ mm.*they look like m: set data.lead_field.unit to m"),
        ({}, {"unit": "m"}, "they look like mm"),
        (
            {"pos": HEAD.centres[:-1], "ori": None},
            {},
            "64 columns, one for each source, and the cortex has 63 positions",
        ),
        ({"pos": None, "ori": None}, {}, "positions of the sources are missing.*data.lead_field.cortex"),
        ({"fwd": HEAD.gain[:, :16]}, {}, r"square \(16x16\)"),
        ({"fwd": FLAT}, {}, "no numbers in the columns 7$"),
        ({"fwd": np.where(np.arange(16)[:, None] == 2, np.nan, HEAD.gain)}, {}, f"no values for.*{HEAD.names[2]}$"),
        ({"fwd": np.where(np.arange(REGIONS) == 5, 3.0, HEAD.gain)}, {}, "no electrode sees: the columns 6 "),
        ({"fwd": np.repeat(HEAD.gain, 3, axis=1), "ori": None}, {}, "three columns.*no normals"),
        ({"fwd": HEAD.gain[SHIFTED]}, {}, r"not in the order of the lead field's rows.*correlate by 0\.[0-6]"),
        ({"eloc": structures(HEAD)[:, :-1]}, {}, "none of its variables is a lead field of 15 electrodes"),
        ({}, {"variable": "Gain"}, "no variable 'Gain'.*the file has fwd 16x64"),
        ({}, {"names": ("Cz", "Pz")}, "lead field of 2 electrodes"),
        ({}, {"names": tuple(f"X{row}" for row in range(16))}, "lacks 16 of 16 electrodes: X0"),
        ({"nbs": cells(HEAD)[:, ::-1]}, {}, "neighbours do not fit the positions"),
    ],
)
def test_what_does_not_fit_is_said(changes, settings, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(**{**write_head(tmp_path, **changes), **settings})


def test_counts_of_the_settings_are_checked(tmp_path):
    parts = write_head(tmp_path)
    with pytest.raises(
        DataError, match=r"of 32 electrodes \(their number is from data\.electrodes; null leaves.*it has fwd 16x64"
    ):
        read(**parts, count=32)
    with pytest.raises(DataError, match=r"64 sources, and data\.regions is 100"):
        read(**parts, regions=100)


def test_broken_and_foreign_files_are_said(tmp_path, forward):
    parts = write_head(tmp_path)
    whole = (tmp_path / "lead_field.mat").read_bytes()
    for name, content, message in [
        ("lead_field.mat", whole[:900], "damaged, or not a MATLAB file"),
        ("lead_field.mat", b"MATLAB 7.3 MAT-file" + bytes(500) + b"\x89HDF", "damaged, or not a MATLAB file"),
        ("lead_field.set", whole, r"the ending .\.set. is not one of"),
        ("lead_field.txt", b"1 2 three", "damaged, or not a table of numbers"),
        ("cut-fwd.fif", (forward[0] / "free-fwd.fif").read_bytes()[:5000], "damaged, or not a forward solution"),
        ("lead_field.npz", b"nothing", "damaged, or not an .npz file"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read(**{**parts, "path": str(tmp_path / name)})


def test_an_unknown_montage_is_said(tmp_path):
    parts = write_head(tmp_path)
    del parts["electrodes"]
    with pytest.raises(HpsearchError, match="did you mean 'biosemi64'"):
        read(**parts, montage="biosemi66")
    with pytest.raises(DataError, match=r"name them in data\.lead_field\.names"):
        read(**parts, montage="biosemi64")


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    """A forward solution of a surface source space, as people compute it."""
    from nibabel.freesurfer import write_geometry
    from nilearn.datasets import load_fsaverage

    from hpsearch.data import lead_field

    home = tmp_path_factory.mktemp("subjects")
    folder = home / "me" / "surf"
    folder.mkdir(parents=True)
    meshes = load_fsaverage("fsaverage5")
    for side, name in (("left", "lh"), ("right", "rh")):
        for mesh, file in (("white_matter", "white"), ("sphere", "sphere")):
            part = meshes[mesh].parts[side]
            write_geometry(folder / f"{name}.{file}", part.coordinates, part.faces)
    options = {"spacing": "ico2", "surface": "white", "subjects_dir": home, "add_dist": False, "verbose": False}
    sources = mne.setup_source_space("me", **options)
    montage = mne.channels.make_standard_montage(lead_field._MONTAGE)
    info = mne.create_info(HEAD.names.tolist(), 1000.0, "eeg").set_montage(montage)
    to_head = mne.Transform("mri", "head", mne.channels.compute_native_head_t(montage)["trans"])
    sphere = mne.make_sphere_model("auto", "auto", info, verbose=False)
    forward = mne.make_forward_solution(info, to_head, sources, sphere, meg=False, mindist=5.0, verbose=False)
    place = home / "surface-fwd.fif"
    mne.write_forward_solution(place, forward, verbose=False)
    return place, forward


def test_a_cortex_of_freesurfer_keeps_its_vertices(surface):
    """And they are put together into regions."""
    place, forward = surface
    found = read(path=str(place))
    fixed = mne.convert_forward_solution(forward, force_fixed=True, surf_ori=True, verbose=False)
    expected = fixed["sol"]["data"] / 1e3
    np.testing.assert_allclose(found.gain, expected - expected.mean(axis=0), rtol=1e-4, atol=1e-7)
    kept = [(side, number) for side, part in enumerate(forward["src"]) for number in part["vertno"]]
    assert found.surface.tolist() == [[*vertex, region] for region, vertex in enumerate(kept)]
    neighbours = mne.spatial_src_adjacency(forward["src"], verbose="error").toarray() > 0
    np.testing.assert_array_equal(found.neighbours, neighbours & ~np.eye(len(kept), dtype=bool))

    fewer = read(path=str(place), regions=60)
    assert fewer.gain.shape == (16, 60)
    np.testing.assert_array_equal(fewer.surface[:, :2], found.surface[:, :2])
    member = np.eye(60)[fewer.surface[:, 2]]
    np.testing.assert_allclose(fewer.gain, found.gain @ member, atol=1e-9)
    with pytest.raises(DataError, match="2 pieces that do not touch"):
        read(path=str(place), regions=1)


LEFT = [b"unknown", *(f"area {number}".encode() for number in range(20))]
RIGHT = [*(f"area {number}".encode() for number in range(18)), b"Background+FreeSurfer_Defined_Medial_Wall"]


@pytest.fixture
def annotated(surface, tmp_path):
    """Files as of FreeSurfer, and the region of each source, left ones first, -1 for none."""
    from nibabel.freesurfer import write_annot

    regions, begin = [], 0
    for side, names, part in (("lh", LEFT, surface[1]["src"][0]), ("rh", RIGHT, surface[1]["src"][1])):
        label = np.random.default_rng(begin).integers(-1, len(names), part["np"])
        colours = np.column_stack([np.arange(1, len(names) + 1)] * 3 + [np.zeros(len(names), dtype=int)])
        write_annot(tmp_path / f"{side}.aparc.annot", label, colours, names, fill_ctab=True)
        inner = [number for number, name in enumerate(names) if name.startswith(b"area")]
        number = np.array([begin + inner.index(each) if each in inner else -1 for each in label[part["vertno"]]])
        regions.append(number)
        begin += len(inner)
    return tmp_path / "lh.aparc.annot", np.concatenate(regions)


def test_a_parcellation_of_freesurfer_makes_the_regions(surface, annotated):
    place, region = annotated
    whole, found = read(path=str(surface[0])), read(path=str(surface[0]), parcellation=str(place))
    inside = region >= 0
    assert found.gain.shape == (16, 38)
    np.testing.assert_allclose(found.gain, whole.gain[:, inside] @ np.eye(38)[region[inside]], atol=1e-9)
    np.testing.assert_array_equal(found.surface, np.column_stack([whole.surface[inside, :2], region[inside]]))
    touching = np.eye(38)[region[inside]].T @ whole.neighbours[inside][:, inside] @ np.eye(38)[region[inside]] > 0
    np.testing.assert_array_equal(found.neighbours, touching & ~np.eye(38, dtype=bool))
    assert (
        f"38 regions of lh.aparc.annot and rh.aparc.annot; {(~inside).sum()} of {len(region)} sources" in found.notes[0]
    )
    other = read(path=str(surface[0]), parcellation=str(place.with_name("rh.aparc.annot")))
    np.testing.assert_array_equal(other.gain, found.gain)


def test_a_parcellation_of_the_vertices_of_a_matrix(surface, annotated, tmp_path):
    """The positions are the left vertices of the surface, then the right ones."""
    from nibabel.freesurfer import read_annot, write_annot

    place, region = annotated
    for side, part in zip(("lh", "rh"), surface[1]["src"], strict=True):
        label, colours, names = read_annot(tmp_path / f"{side}.aparc.annot")
        write_annot(tmp_path / f"{side}.fine.annot", label[part["vertno"]], colours, names, fill_ctab=True)
    whole = read(path=str(surface[0]))
    np.savez(tmp_path / "gain.npz", gain=whole.gain, pos=whole.centres)
    found = read(path=str(tmp_path / "gain.npz"), parcellation=str(tmp_path / "lh.fine.annot"))
    np.testing.assert_allclose(found.gain, whole.gain[:, region >= 0] @ np.eye(38)[region[region >= 0]], atol=1e-9)
    with pytest.raises(
        DataError, match=r"lh\.aparc\.annot is of another surface.* 10242 and 10242 .* have 250 together"
    ):
        read(path=str(tmp_path / "gain.npz"), parcellation=str(place))


def test_a_parcellation_that_does_not_fit_is_said(surface, annotated, tmp_path):
    place, _ = annotated
    part = {"path": str(surface[0])}
    (tmp_path / "aparc.annot").write_bytes(place.read_bytes())
    (tmp_path / "lh.one.annot").write_bytes(place.read_bytes())
    for side in ("lh", "rh"):
        (tmp_path / f"{side}.cut.annot").write_bytes(place.read_bytes()[:3000])
    for name, message in (
        ("aparc.annot", "begins with lh. or rh."),
        ("lh.one.annot", r"no parcellation .*rh\.one\.annot"),
        ("lh.cut.annot", "damaged, or no parcellation of FreeSurfer"),
    ):
        with pytest.raises(DataError, match=message):
            read(**part, parcellation=str(tmp_path / name))


def test_either_hemisphere_of_a_parcellation_is_part_of_the_data(annotated, tmp_path):
    place, _ = annotated
    settings = LeadFieldSettings(path=str(place), parcellation=str(place))
    before, right = head_files(settings), place.with_name("rh.aparc.annot")
    right.write_bytes(right.read_bytes() + b" ")
    after = head_files(settings)
    assert {name for name in before if before[name] != after[name]} == {"rh"}


def test_a_matrix_and_a_map_alone_in_their_files(tmp_path):
    """As The Virtual Brain's packages have them: the map of regions is a text, and matrices are .npy files."""
    fine = load_lead_field(16, 128)
    region = divide(fine.centres, np.argwhere(np.triu(fine.neighbours)), 64)[1]
    np.save(tmp_path / "gain.npy", fine.gain)
    np.savetxt(tmp_path / "pos.csv", fine.centres, delimiter=",")
    np.savetxt(tmp_path / "map.txt", region, fmt="%d")
    files = {"path": "gain.npy", "cortex": "pos.csv", "parcellation": "map.txt"}
    found = read(**{name: str(tmp_path / file) for name, file in files.items()})
    np.testing.assert_allclose(found.gain, fine.gain @ np.eye(64)[region], atol=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_names_of_regions_are_not_those_of_electrodes(turned, tmp_path):
    parts = write_head(tmp_path)
    regions = np.array([f"parcel {number}" for number in range(REGIONS)], dtype=object)
    gain = HEAD.gain.T if turned else HEAD.gain
    savemat(tmp_path / "lead_field.mat", {"fwd": gain, "labels": regions, "pos": HEAD.centres})
    same(read(**parts))
    del parts["electrodes"]
    savemat(tmp_path / "lead_field.mat", {"fwd": gain, "elec": {"label": HEAD.names.astype(object)}})
    same(read(**parts))
