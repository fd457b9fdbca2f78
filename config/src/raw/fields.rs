//! How a struct is read whose fields are all [`RawField`](super::RawField)s.

/// Implements `FromNode` for a struct with a default and one lifetime. The names are those in a configuration.
macro_rules! read_fields {
    ($name:ty { $($text:literal => $field:ident),* $(,)? }) => {
        impl<'a> $crate::tree::FromNode<'a> for $name {
            fn from_node(node: $crate::tree::NodeReader<'_, 'a>) -> Option<Self> {
                /// The fields by index.
                #[expect(non_camel_case_types, reason = "named as the fields")]
                enum Field {
                    $($field),*
                }

                let mut fields = Self::default();
                node.fields(&[$($text),*], "a map", &mut |index, value| match index {
                    $(index if index == Field::$field as usize => {
                        fields.$field = $crate::raw::RawField::read(value);
                    })*
                    _ => {}
                })?;
                Some(fields)
            }
        }
    };
}
