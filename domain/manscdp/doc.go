// Package manscdp reads and writes the XML bodies of GB/T 28181 (Monitoring and
// Alarm Network System Control Description Protocol, Annex A of the 2016 and 2022
// editions) and the eight-byte camera command PTZCmd (clause A.3).
//
// It is pure: bytes become values and values become bytes. It opens nothing,
// waits for nothing and keeps no state; the instants it needs are arguments.
//
// Decode is tolerant, because cameras and platforms are not careful: element
// names match without regard to case, unknown elements are skipped, the bytes
// are believed more than the declared character set, control characters vanish
// and every whole item of a broken document is kept. What had to be repaired is
// counted in Damage. Decode is also bounded: size, depth, items, elements and
// attributes have limits, a document type or entity declaration is refused, and
// the time taken is linear in the size of the body.
//
// Encode is strict: it writes exactly the casing of the standard and, for each
// edition (Version), only the fields that edition has.
package manscdp
