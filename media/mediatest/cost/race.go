//go:build race

package cost

// raceDetector says that the program was built with it: everything is several times slower then.
const raceDetector = true
