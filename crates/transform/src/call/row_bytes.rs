//! How large the records of a batch are: what the payload limit counts where records are columns.

use arrow::{
    array::{Array, AsArray, OffsetSizeTrait},
    datatypes::DataType,
    record_batch::RecordBatch,
};

/// Bytes of each row's values: the width of a number's type, a text's or a list's content. What holds
/// them together (offsets, lengths, marks of nulls) does not count.
pub(crate) fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut sizes = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add(column.as_ref(), &mut sizes);
    }
    sizes
}

/// Adds the bytes of each value of `array` to its size.
fn add(array: &dyn Array, sizes: &mut [u64]) {
    match array.data_type() {
        DataType::Utf8 => add_lengths(array.as_string::<i32>().value_offsets(), sizes),
        DataType::LargeUtf8 => add_lengths(array.as_string::<i64>().value_offsets(), sizes),
        DataType::Binary => add_lengths(array.as_binary::<i32>().value_offsets(), sizes),
        DataType::LargeBinary => add_lengths(array.as_binary::<i64>().value_offsets(), sizes),
        // The low half of the low half of a view is the length.
        DataType::Utf8View => add_each(sizes, |row| array.as_string_view().views()[row] as u32),
        DataType::BinaryView => add_each(sizes, |row| array.as_binary_view().views()[row] as u32),
        DataType::FixedSizeBinary(width) => add_each(sizes, |_| width.unsigned_abs()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_items(list.values(), list.value_offsets(), sizes);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            add_items(list.values(), list.value_offsets(), sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            add_items(map.entries(), map.value_offsets(), sizes);
        }
        DataType::FixedSizeList(_, length) => {
            let offsets: Vec<i64> =
                (0..=sizes.len()).map(|row| row as i64 * i64::from(*length)).collect();
            add_items(array.as_fixed_size_list().values(), &offsets, sizes);
        }
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                add(column.as_ref(), sizes);
            }
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = bytes_of(dictionary.values().as_ref());
            if values.is_empty() {
                return;
            }
            for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
                sizes[row] += if array.is_null(row) { 0 } else { values[key] };
            }
        }
        DataType::Boolean => add_each(sizes, |_| 1),
        other => {
            let width = other.primitive_width().unwrap_or_default() as u32;
            add_each(sizes, |_| width);
        }
    }
}

fn bytes_of(array: &dyn Array) -> Vec<u64> {
    let mut sizes = vec![0; array.len()];
    add(array, &mut sizes);
    sizes
}

fn add_each(sizes: &mut [u64], bytes: impl Fn(usize) -> u32) {
    for (row, size) in sizes.iter_mut().enumerate() {
        *size += u64::from(bytes(row));
    }
}

fn add_lengths<O: OffsetSizeTrait>(offsets: &[O], sizes: &mut [u64]) {
    for (size, ends) in sizes.iter_mut().zip(offsets.windows(2)) {
        *size += (ends[1] - ends[0]).as_usize() as u64;
    }
}

/// Adds what the items hold of each list, which goes from an offset to the next.
fn add_items<O: OffsetSizeTrait>(items: &dyn Array, offsets: &[O], sizes: &mut [u64]) {
    let bytes = bytes_of(items);
    for (size, ends) in sizes.iter_mut().zip(offsets.windows(2)) {
        *size += bytes[ends[0].as_usize()..ends[1].as_usize()].iter().sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array, Int64Array,
            ListArray, NullArray, StringArray, StringViewArray, StructArray,
        },
        datatypes::{Float32Type, Int8Type},
    };

    use super::*;

    fn sizes(column: ArrayRef) -> Vec<u64> {
        row_bytes(&RecordBatch::try_from_iter([("c", column)]).expect("a batch"))
    }

    #[test]
    fn values_count_and_what_holds_them_does_not() {
        assert_eq!(sizes(Arc::new(Float32Array::from(vec![Some(1.0), None]))), [4, 4]);
        assert_eq!(sizes(Arc::new(BooleanArray::from(vec![true]))), [1]);
        assert_eq!(sizes(Arc::new(NullArray::new(2))), [0, 0]);
        let texts = [Some("é"), None, Some("a text of more than twelve bytes")];
        assert_eq!(sizes(Arc::new(StringArray::from(texts.to_vec()))), [2, 0, 32]);
        assert_eq!(sizes(Arc::new(StringViewArray::from(texts.to_vec()))), [2, 0, 32]);
        let words: DictionaryArray<Int8Type> =
            vec![Some("abc"), None, Some("x")].into_iter().collect();
        assert_eq!(sizes(Arc::new(words)), [3, 0, 1]);
        let nothing: DictionaryArray<Int8Type> = vec![None::<&str>, None].into_iter().collect();
        assert_eq!(sizes(Arc::new(nothing)), [0, 0]);
    }

    #[test]
    fn nested_values_count_what_they_hold() {
        let lists = [Some(vec![Some(1.0), None]), None, Some(vec![])];
        let list = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
        assert_eq!(sizes(Arc::new(list.clone())), [8, 0, 0]);
        let pairs = [Some(vec![Some(1.0), None]), None];
        let pairs = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(pairs, 2);
        assert_eq!(sizes(Arc::new(pairs)), [8, 8]);
        let texts = StringArray::from(vec!["a", "bc", ""]);
        let members: Vec<(&str, ArrayRef)> =
            vec![("list", Arc::new(list)), ("text", Arc::new(texts))];
        let rows = StructArray::try_from(members).expect("a struct");
        assert_eq!(sizes(Arc::new(rows)), [9, 2, 0]);
    }

    #[test]
    fn a_slice_counts_its_own_rows() {
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("s", Arc::new(StringArray::from(vec!["a", "bc", "def"]))),
            (
                "p",
                Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
                    [1.0, 2.0, 3.0].map(|x| Some(vec![Some(x)])),
                    1,
                )),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        assert_eq!(row_bytes(&batch.slice(1, 2)), [8 + 2 + 4, 8 + 3 + 4]);
    }
}
