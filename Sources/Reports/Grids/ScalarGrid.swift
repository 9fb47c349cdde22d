/// Values at the places of a rectangular grid, for programs that draw surfaces.
public struct ScalarGrid: Sendable {
  /// One value a place.
  public struct Field: Sendable {
    /// What it is called: letters, digits and `_`.
    public let name: String
    /// Row by row from the lowest y, `[y.count, x.count]`; NaN where there is no value.
    public let values: [Double]

    /// A field.
    public init(_ name: String, _ values: [Double]) { (self.name, self.values) = (name, values) }
  }

  /// The stem of its file.
  public let name: String
  /// Places along the first axis, in increasing order.
  public let x: [Double]
  /// Places along the second axis; one for a line.
  public let y: [Double]
  /// What is known at each place.
  public let fields: [Field]

  /// - Precondition: a value of each field for each place.
  public init(name: String, x: [Double], y: [Double], fields: [Field]) {
    precondition(
      fields.allSatisfy { $0.values.count == x.count * y.count }, "A value of a field a place")
    (self.name, self.x, self.y, self.fields) = (name, x, y, fields)
  }

  /// A flat structured grid in ParaView's XML (VTK file formats, `StructuredGrid`), as text: a surface of it is
  /// made with the filter Warp By Scalar.
  public var vts: String {
    let extent = "0 \(x.count - 1) 0 \(y.count - 1) 0 0"
    func number(_ value: Double) -> String { value.isNaN ? "nan" : "\(value)" }
    func array(_ name: String, _ attributes: String, _ values: [String]) -> String {
      "<DataArray type=\"Float64\" Name=\"\(name)\" \(attributes)format=\"ascii\">\n"
        + values.joined(separator: "\n") + "\n</DataArray>\n"
    }
    let data = fields.map { field in
      array(
        field.name, "",
        y.indices.map { row in
          field.values[(row * x.count)..<((row + 1) * x.count)].map(number)
            .joined(separator: " ")
        })
    }
    let points = y.flatMap { y in x.map { "\(number($0)) \(number(y)) 0" } }
    return """
      <?xml version="1.0"?>
      <VTKFile type="StructuredGrid" version="1.0" byte_order="LittleEndian">
      <StructuredGrid WholeExtent="\(extent)">
      <Piece Extent="\(extent)">
      <PointData Scalars="\(fields.first?.name ?? "")">
      \(data.joined())</PointData>
      <Points>
      \(array("Points", "NumberOfComponents=\"3\" ", points))</Points>
      </Piece>
      </StructuredGrid>
      </VTKFile>

      """
  }
}
