// A multiplier of adders, two bits of B in a row; B is not negative.
(* techmap_celltype = "$mul" *)
module _ionspike_multiplier (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_B_ = 0, _TECHMAP_CONSTVAL_B_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  localparam ROWS = (B_WIDTH + 1) / 2, WIDTH = A_WIDTH + 2;
  localparam POSITIVE = _TECHMAP_CONSTMSK_B_[B_WIDTH-1] && !_TECHMAP_CONSTVAL_B_[B_WIDTH-1];
  wire _TECHMAP_FAIL_ = B_SIGNED && !POSITIVE;

  wire [WIDTH-1:0] a = {{2{A_SIGNED ? A[A_WIDTH-1] : 1'b0}}, A};
  wire [WIDTH-1:0] a2 = {a[WIDTH-2:0], 1'b0};
  wire [WIDTH-1:0] a3 = a + a2;
  wire [2*ROWS-1:0] b = B, low;
  wire [WIDTH-1:0] high [0:ROWS];
  assign high[0] = 0;
  genvar k;
  generate for (k = 0; k < ROWS; k = k + 1) begin:row
    wire [WIDTH-1:0] part = b[2*k+1] ? (b[2*k] ? a3 : a2) : (b[2*k] ? a : {WIDTH{1'b0}});
    wire [WIDTH-1:0] sum = high[k] + part;
    assign low[2*k+1:2*k] = sum[1:0];
    assign high[k+1] = {{2{A_SIGNED ? sum[WIDTH-1] : 1'b0}}, sum[WIDTH-1:2]};
  end endgenerate
  wire [Y_WIDTH+WIDTH+2*ROWS-1:0] y = {{Y_WIDTH{A_SIGNED ? high[ROWS][WIDTH-1] : 1'b0}}, high[ROWS], low};
  assign Y = y[Y_WIDTH-1:0];
endmodule
