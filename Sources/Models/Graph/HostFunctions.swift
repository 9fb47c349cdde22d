import Glibc

/// Functions of the C library, as entries of tables name them.
func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }
func sine(_ x: Double) -> Double { sin(x) }
func cosine(_ x: Double) -> Double { cos(x) }
func raised(_ x: Double, _ y: Double) -> Double { pow(x, y) }
func errorFunction(_ x: Double) -> Double { erf(x) }
func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
