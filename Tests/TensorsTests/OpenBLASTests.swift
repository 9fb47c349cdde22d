import Tensors
import Testing

@Suite struct OpenBLASTests {
  @Test func productsOfRowMajorMatrices() {
    let (a, b): ([Double], [Double]) = ([1, 2, 3, 4, 5, 6], [1, 0, -1, 2, 3, 1])
    #expect(OpenBLAS.product(a, b, rows: 2, inner: 3, columns: 2) == [8, 7, 17, 16])
    #expect(OpenBLAS.product([], [], rows: 0, inner: 2, columns: 0).isEmpty)
    #expect(OpenBLAS.product([], [], rows: 1, inner: 0, columns: 2) == [0, 0])
  }

  /// The upper triangle stays as it was made.
  @Test func gramsOfRowsAndOfColumns() {
    let matrix: [Double] = [1, 2, 3, 4, 5, 6]
    #expect(OpenBLAS.gram(matrix, rows: 2, columns: 3) == [14, 0, 32, 77])
    #expect(
      OpenBLAS.gram(matrix, rows: 2, columns: 3, ofColumns: true)
        == [17, 0, 0, 22, 29, 0, 27, 36, 45])
  }

  @Test func eigenproblemsReadTheLowerTriangle() {
    var (matrix, values): ([Double], [Double]) = ([2, 99, 1, 2], [0, 0])
    #expect(OpenBLAS.eigenproblem(&matrix, order: 2, vectors: true, values: &values) == 0)
    #expect(abs(values[0] - 1) < 1e-15 && abs(values[1] - 3) < 1e-15)
    #expect(abs(matrix[0] + matrix[1]) < 1e-15 && abs(matrix[2] - matrix[3]) < 1e-15)

    var (diagonal, off): ([Double], [Double]) = ([2, 2], [1, 99])
    let (vectors, info) = OpenBLAS.tridiagonal(diagonal: &diagonal, offDiagonal: &off)
    #expect(info == 0)
    #expect(abs(diagonal[0] - 1) < 1e-15 && abs(diagonal[1] - 3) < 1e-15)
    #expect(abs(abs(vectors[0]) - 0.5.squareRoot()) < 1e-15)
  }
}
