//! How a struct is read whose fields are all [`RawField`](super::RawField)s.
//!
//! The code that serde derives has each field's value in a variable of its own, and drops all of them wherever it can end.
//! For these structs that would be a tenth of the filter's module. Here the struct itself has the values from the start.

/// Implements `Deserialize` for a struct with a default. The names are those in a configuration.
macro_rules! read_fields {
    ($name:ident { $($text:literal => $field:ident),* }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct FieldsVisitor;

                impl<'de> serde::de::Visitor<'de> for FieldsVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a map")
                    }

                    /// The keys are indices of the fields.
                    #[inline(never)]
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        const FIELDS: &[&str] = &[$($text),*];
                        let mut fields = $name::default();
                        while let Some(field) = map.next_key::<usize>()? {
                            match FIELDS.get(field).copied() {
                                $(Some($text) => fields.$field = map.next_value()?,)*
                                _ => {}
                            }
                        }
                        Ok(fields)
                    }
                }

                deserializer.deserialize_struct(stringify!($name), &[$($text),*], FieldsVisitor)
            }
        }
    };
}
