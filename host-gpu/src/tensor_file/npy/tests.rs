//! The `.npy` reader and writer against files as NumPy writes them, and against broken ones.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn file(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, &[version, 0]].concat();
    let length = u16::try_from(dictionary.len()).unwrap();
    bytes.extend(length.to_le_bytes());
    if version > 1 {
        bytes.extend([0, 0]);
    }
    bytes.extend(dictionary.as_bytes());
    bytes.extend(data);
    bytes
}

fn dictionary(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}   \n")
}

#[test]
fn what_is_written_is_read_back() {
    for kind in ElementType::ALL.into_iter().filter(|&kind| kind != ElementType::Bf16) {
        for shape in [vec![], vec![3], vec![2, 3], vec![0, 4], vec![1; 64]] {
            let len = Tensor::byte_len(kind, &shape).unwrap();
            let data: Vec<u8> = (0..len).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
            let tensor = Tensor::new(kind, shape, Arc::new(data)).unwrap();
            let bytes = write(&tensor);
            assert_eq!((bytes.len() - tensor.data().len()) % ALIGNMENT, 0);
            assert_eq!(read(&bytes).unwrap(), tensor);
        }
    }
}

#[test]
fn the_header_is_the_one_that_numpy_writes() {
    let tensor = Tensor::new(ElementType::F32, vec![1], Arc::new(vec![0, 0, 128, 63])).unwrap();
    let bytes = write(&tensor);
    let expected = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
    assert_eq!(&bytes[..expected.len()], expected);
    assert_eq!(bytes[127], b'\n');
    assert_eq!(bytes.len(), 132);
}

#[test]
fn every_version_and_byte_order_is_read() {
    for version in 1..=3 {
        let tensor = read(&file(version, &dictionary("'>i2'", "False", "(2,)"), &[1, 2, 3, 4])).unwrap();
        assert_eq!(
            (tensor.element_type(), tensor.data().as_slice()),
            (ElementType::I16, &[2, 1, 4, 3][..])
        );
    }
    let python_2 = read(&file(1, &dictionary("\"|b1\"", "False", "(2L, 1L)"), &[0, 1])).unwrap();
    assert_eq!(python_2.shape(), [2, 1]);
}

#[test]
fn fortran_order_becomes_c_order() {
    // [[0, 1, 2], [3, 4, 5]] column by column.
    let tensor = read(&file(1, &dictionary("'|u1'", "True", "(2, 3)"), &[0, 3, 1, 4, 2, 5])).unwrap();
    assert_eq!(tensor.data().as_slice(), [0, 1, 2, 3, 4, 5]);
    let cube: Vec<u8> = (0..24).collect();
    let tensor = read(&file(1, &dictionary("'|u1'", "True", "(2, 3, 4)"), &cube)).unwrap();
    let at = |i: usize, j: usize, k: usize| tensor.data()[i * 12 + j * 4 + k];
    assert_eq!((at(1, 0, 0), at(0, 1, 0), at(0, 0, 1), at(1, 2, 3)), (1, 2, 6, 23));
    let empty = read(&file(1, &dictionary("'|u1'", "True", "(0, 3)"), &[])).unwrap();
    assert_eq!(empty.shape(), [0, 3]);
}

#[test]
fn types_without_a_place_are_refused_by_name() {
    for descr in [
        "'|O'",
        "'<U15'",
        "'|S3'",
        "'<c8'",
        "'<M8[ns]'",
        "[('a', '<i4')]",
        "'<f16'",
        "'<V2'",
    ] {
        let error = read(&file(1, &dictionary(descr, "False", "()"), &[0; 16])).unwrap_err();
        assert!(
            matches!(error, TensorFileError::ElementType { .. }),
            "{descr}: {error:?}"
        );
    }
}

#[test]
fn data_must_be_exactly_as_long_as_the_shape_says() {
    let with = |len: usize| read(&file(1, &dictionary("'<f4'", "False", "(2,)"), &vec![0; len]));
    assert!(with(8).is_ok());
    assert!(matches!(
        with(7),
        Err(TensorFileError::Truncated { what: "the data", .. })
    ));
    assert!(matches!(with(9), Err(TensorFileError::TrailingData { excess: 1 })));
}

#[test]
fn hostile_headers_are_errors() {
    let header = |dictionary: &str| read(&file(1, dictionary, &[])).unwrap_err();
    for text in [
        "",
        "{",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
        "{'evil': __import__('os')}",
    ] {
        assert!(matches!(header(text), TensorFileError::Header { .. }), "{text}");
    }
    assert!(read(&file(1, "{'descr': '<f4, 'fortran_order': False}", &[])).is_err());
    let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}";
    assert!(matches!(header(huge), TensorFileError::Tensor(_)));
    let large = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}";
    assert!(matches!(header(large), TensorFileError::Truncated { .. }));
    let digits = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}";
    assert!(matches!(header(digits), TensorFileError::Header { .. }));
    assert!(matches!(
        read(b"\x93NUMPY\x02\0\xff\xff\xff\xff"),
        Err(TensorFileError::Header { .. })
    ));
    assert!(matches!(
        read(b"\x93NUMPY\x09\0"),
        Err(TensorFileError::Version { major: 9, minor: 0 })
    ));
    assert!(matches!(read(b"GGUF"), Err(TensorFileError::Magic)));
}

#[test]
fn every_truncation_is_an_error_and_no_flip_panics() {
    let whole = write(&Tensor::new(ElementType::F32, vec![2, 2], Arc::new(vec![7; 16])).unwrap());
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).is_err(), "{len}");
    }
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[index] ^= 1 << bit;
            let _ = read(&flipped);
        }
    }
}
