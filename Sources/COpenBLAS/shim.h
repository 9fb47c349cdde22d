#include <cblas.h>

// Debian's OpenBLAS carries LAPACK under its Fortran names only and ships no header for it, so the
// few routines in use are declared here.
void dstev_(const char *jobz, const int *n, double *d, double *e, double *z, const int *ldz,
            double *work, int *info);
void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
            double *work, const int *lwork, int *info);
